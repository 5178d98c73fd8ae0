"""Asks the rows. Each function here is one query, or two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max, QuerySet, Sum
from django.utils import timezone

from jobs.figures.periods import DAYS, MINUTES, PERIODS, WEEK, Grain, Period
from jobs.figures.values import Counts, Figures, Slice, read, together
from jobs.models import MetricTotal
from jobs.models.metrics import ALL_JOBS, COLUMNS, ENDED

_WEEKS = 13


def of(
    period: Period | str, job: str | None = None, queue: str | None = None, *, now: datetime | None = None
) -> Figures:
    """The figures of one job, of one queue, of a job in a queue, or of all. One query."""
    asked = PERIODS[period] if isinstance(period, str) else period
    now = now or timezone.now()
    since = asked.since(now)
    grain = asked.slices
    rows = _rows(grain, since, job=job, queue=queue).values(grain.when).annotate(**_sums(COLUMNS))
    there = {row[grain.when]: Slice(row[grain.when], *read(row)) for row in rows}
    series = [there.get(at) or Slice(at) for at in asked.begins(now)]
    return Figures(asked, since, job, queue, series, *together(there.values()))


def by_job(period: Period | str, queue: str | None = None, *, now: datetime | None = None) -> dict[str, Figures]:
    """The figures of each job that has any, without their slices. One query."""
    asked = PERIODS[period] if isinstance(period, str) else period
    since = asked.since(now or timezone.now())
    rows = of_jobs(_rows(asked.sums, since, queue=queue, each_job=True), COLUMNS)
    return {name: Figures(asked, since, name, queue, (), *read(row)) for name, row in rows.items()}


def trend(job: str | None = None, *, now: datetime | None = None) -> list[Counts]:
    """What ended and failed in each of the last 13 weeks, the first first: of one job, or of all. One query.

    A week is seven days here, and the last of them is today.
    """
    end = DAYS.begin(now or timezone.now()) + DAYS.every
    first = end - _WEEKS * WEEK
    counted = ("started", "failed", *ENDED)
    rows = _rows(DAYS, first, job=job).values("day").annotate(**_sums(counted))
    weeks: list[list[Slice]] = [[] for _ in range(_WEEKS)]
    for row in rows:
        # Days that the clock has not come to yet belong to the last.
        weeks[min(_WEEKS - 1, (row["day"] - first) // WEEK)].append(Slice(row["day"], *read(row)))
    return [together(week)[0] for week in weeks]


def names() -> list[str]:
    """The jobs of which anything was ever counted. One query."""
    return sorted(set(MetricTotal.objects.order_by().values_list("name", flat=True)))


def recorded_up_to() -> datetime | None:
    """When the latest minute begins of which anything was counted."""
    latest: datetime | None = MINUTES.model._default_manager.aggregate(latest=Max("minute"))["latest"]
    return latest


def of_jobs(rows: QuerySet[Any], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The sums of these columns, by job."""
    return {row["name"]: row for row in rows.values("name").annotate(**_sums(columns))}


def rows_between(grain: Grain, begin: datetime, end: datetime, *, job: str | None = None) -> QuerySet[Any]:
    """The rows of one job, or those of each, that begin in that time."""
    return _rows(grain, begin, job=job, each_job=job is None).filter(**{f"{grain.when}__lt": end})


def _rows(
    grain: Grain, since: datetime, *, job: str | None = None, queue: str | None = None, each_job: bool = False
) -> QuerySet[Any]:
    rows = grain.model._default_manager.order_by().filter(**{f"{grain.when}__gte": since})
    if queue is not None:
        rows = rows.filter(queue=queue)
    if job is not None:
        return rows.filter(name=job)
    if grain is MINUTES:
        # They have no rows of all jobs together.
        return rows
    return rows.exclude(name=ALL_JOBS) if each_job else rows.filter(name=ALL_JOBS)


def _sums(columns: Sequence[str]) -> dict[str, Sum]:
    return {f"sum_{column}": Sum(column) for column in columns}
