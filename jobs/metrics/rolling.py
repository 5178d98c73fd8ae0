"""Sums up minutes into hours, and hours into days.

1. Who adds to a minute marks it as not rolled up.
2. `roll` finds the hours that have such minutes, and sums up each of them anew: from all of its minutes, in the place
   of what was there. So it may be repeated, and a late minute is in its hour once.
3. A minute that has been over for 10 minutes is marked as rolled up, in the same transaction, before the sum is made.
4. Hours have rows of all jobs together too, by queue: what a page shows of a week is few rows then. Days have them
   from the hours.
5. What comes for an hour whose minutes may be deleted already is added to it, and is deleted itself.

One rolls up at a time, by the lock on a row: else an older sum could be written over a newer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models, router, transaction
from django.utils import timezone

from jobs.metrics.keeping import KEPT
from jobs.metrics.spans import DAY, HOUR, start_of_day, start_of_hour
from jobs.models import MetricCursor, MetricDay, MetricHour, MetricMinute
from jobs.models.metrics import ALL_JOBS, COLUMNS

_LOCK = "rolled"
# A minute that may still be added to is not marked: for a while, code from before this adds without unmarking.
_OVER_AFTER = timedelta(minutes=10)
# What one call does of a backlog, some 50 ms each at the most: it is made by whoever records.
_HOURS_AT_ONCE = 12
_LATE_AT_ONCE = 500


def roll() -> int:
    """Bring hours and days up to the minutes, the latest first. Returns how many hours were summed up.

    May be repeated, and of a backlog it does a part.
    """
    now = timezone.now()
    minutes = _unrolled().filter(minute__gte=_summed_from(now)).values_list("minute", flat=True).distinct()
    hours = sorted({start_of_hour(minute) for minute in minutes}, reverse=True)[:_HOURS_AT_ONCE]
    for hour in hours:
        _roll_hour(hour, now)
    while _add_late(now):
        pass
    return len(hours)


def rebuild() -> int:
    """Sum up all hours and days anew whose minutes are there. Returns how many hours they were."""
    MetricMinute.objects.filter(minute__gte=_summed_from(timezone.now())).update(rolled=False)
    hours = 0
    while _unrolled().filter(minute__lt=timezone.now() - _OVER_AFTER - HOUR).exists():
        hours += roll()
    return hours + roll()


def _roll_hour(hour: datetime, now: datetime) -> None:
    day = start_of_day(hour)
    with _alone() as connection:
        # Who adds to one of these waits until we are done, and then marks it anew.
        over = MetricMinute.objects.filter(minute__gte=hour, minute__lt=min(hour + HOUR, now - _OVER_AFTER))
        over.filter(rolled=False).update(rolled=True)
        _sum_up(connection, MetricHour, hour, of=MetricMinute, until=hour + HOUR)
        _sum_up(connection, MetricHour, hour, of=MetricHour, until=hour + HOUR, all_jobs=True)
        _sum_up(connection, MetricDay, day, of=MetricHour, until=day + DAY)


def _add_late(now: datetime) -> int:
    """Add what came for hours of which minutes may be deleted. Returns how many minutes that were."""
    with _alone() as connection:
        late = _unrolled().filter(minute__lt=_summed_from(now)).select_for_update()
        minutes = list(late.order_by("pk")[:_LATE_AT_ONCE])
        for minute in minutes:
            for name in (minute.name, ALL_JOBS):
                _add_one(connection, MetricHour, start_of_hour(minute.minute), name, minute)
                _add_one(connection, MetricDay, start_of_day(minute.minute), name, minute)
        MetricMinute.objects.filter(pk__in=[minute.pk for minute in minutes]).delete()
    return len(minutes)


def _unrolled() -> models.QuerySet[MetricMinute]:
    return MetricMinute.objects.filter(rolled=False)


def _summed_from(now: datetime) -> datetime:
    """From when on all minutes of an hour are there."""
    return start_of_hour(now - KEPT) + HOUR


@contextmanager
def _alone() -> Iterator[Any]:
    """A transaction in which nobody else rolls up; its connection."""
    using = router.db_for_write(MetricCursor)
    MetricCursor.objects.using(using).get_or_create(kind=_LOCK)
    with transaction.atomic(using=using):
        MetricCursor.objects.using(using).select_for_update().get(kind=_LOCK)
        yield connections[using]


_WHEN: dict[type[models.Model], str] = {MetricMinute: "minute", MetricHour: "hour", MetricDay: "day"}


def _sum_up(
    connection: Any,
    model: type[models.Model],
    begin: datetime,
    *,
    of: type[models.Model],
    until: datetime,
    all_jobs: bool = False,
) -> None:
    """Write the sums of the rows of `of` between `begin` and `until`, in the place of what was there."""
    name, which = (f"'{ALL_JOBS}'", f"AND name <> '{ALL_JOBS}' ") if all_jobs else ("name", "")
    sums = ", ".join(f"SUM({column})" for column in COLUMNS)
    anew = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS)
    sql = (
        f"INSERT INTO {model._meta.db_table} ({_names(model)}) "  # noqa: S608
        f"SELECT {name}, queue, {_PLACE[connection.vendor]}, {sums} FROM {of._meta.db_table} "
        f"WHERE {_WHEN[of]} >= %s AND {_WHEN[of]} < %s {which}GROUP BY {'' if all_jobs else 'name, '}queue "
        f"ON CONFLICT (name, queue, {_WHEN[model]}) DO UPDATE SET {anew}"
    )
    times = [_stored(moment, connection) for moment in (begin, begin, until)]
    with connection.cursor() as cursor:
        cursor.execute(sql, times)


def _add_one(connection: Any, model: type[models.Model], begin: datetime, name: str, minute: MetricMinute) -> None:
    table = model._meta.db_table
    added = ", ".join(f"{column} = {table}.{column} + excluded.{column}" for column in COLUMNS)
    values = [name, minute.queue, _stored(begin, connection), *(getattr(minute, column) for column in COLUMNS)]
    sql = (
        f"INSERT INTO {table} ({_names(model)}) VALUES ({', '.join(['%s'] * len(values))}) "  # noqa: S608
        f"ON CONFLICT (name, queue, {_WHEN[model]}) DO UPDATE SET {added}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _stored(moment: datetime, connection: Any) -> Any:
    return MetricMinute._meta.get_field("minute").get_db_prep_value(moment, connection)


def _names(model: type[models.Model]) -> str:
    return ", ".join(("name", "queue", _WHEN[model], *COLUMNS))


# PostgreSQL wants to be told what a bare value of a SELECT is.
_PLACE = {"postgresql": "%s::timestamptz", "sqlite": "%s"}
