"""How schedules stand: what they say in words, when they are due next, what became of the last due time, and what is
wrong. Changes nothing, and asks Redis nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from jobs.errors import BadSchedule
from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.runs import PENDING_STATES
from jobs.models.schedules import TickState
from jobs.policy.cron import Cron
from jobs.policy.cron_words import DueTime, due_times, in_words
from jobs.policy.scheduling import FIELDS, differences
from jobs.schedules import rows

SHOWN_TIMES = 5
# Recording processes look each second; by then none of them does.
OVERDUE_AFTER = timedelta(minutes=1)


class Standing(enum.Enum):
    """What is to be said of a schedule. Several may hold; `ON` where nothing else does."""

    LATE = "late"
    FAILED = "failed"
    OVERDUE = "overdue"
    PAUSED = "paused"
    OVER = "over"
    ON = "on"


@dataclass(frozen=True)
class Ticked:
    """A due time, its run where the row of that is still there, and whether it has not started for too long."""

    tick: ScheduleTick
    run: JobRun | None
    is_late: bool


@dataclass(frozen=True)
class Difference:
    """A term of which the row says other than the code, and since when by whom, where a person changed it."""

    term: str
    code: Any
    row: Any
    by: str
    at: datetime | None


@dataclass(frozen=True)
class Seen:
    """A schedule as people see it. `problem` says why this system cannot read its times."""

    schedule: Schedule
    last: Ticked | None
    standings: tuple[Standing, ...]
    words: str = ""
    problem: str = ""
    next: list[DueTime] = field(default_factory=list)

    @property
    def drift(self) -> list[Difference]:
        return drift_of(self.schedule)


def found(
    *, text: str = "", standing: str = "", by_code: bool | None = None, now: datetime
) -> QuerySet[Schedule, Schedule]:
    """Schedules by what their name or job has in it, by how they stand, and by where they come from."""
    wanted = Q()
    if text:
        wanted &= Q(name__icontains=text) | Q(job__icontains=text)
    if by_code is not None:
        wanted &= Q(by_code=by_code)
    return Schedule.objects.filter(wanted & conditions(now).get(standing, Q()))


def conditions(now: datetime) -> dict[str, Q]:
    """What rows are asked for those that stand in a way that people look for."""
    unstarted = JobRun.objects.filter(state__in=PENDING_STATES, started_at__isnull=True)
    late = ScheduleTick.objects.filter(
        Q(late_told_at__isnull=False) | Q(late_at__lte=now), state=TickState.ASKED, run__in=unstarted.values("pk")
    )
    return {
        Standing.PAUSED.value: Q(paused_at__isnull=False),
        Standing.LATE.value: Q(pk__in=late.values("schedule")),
        Standing.OVERDUE.value: Q(paused_at__isnull=True, next_due_at__lt=now - OVERDUE_AFTER),
        "drift": Q(by_code=True) & ~Q(edited={}),
    }


def seen(schedules: Iterable[Schedule], *, now: datetime, language: str = "en") -> list[Seen]:
    """These schedules as people see them, by two queries for all."""
    known = list(schedules)
    last = _last_ticks(known)
    ticked = {one.tick.schedule_id: one for one in with_runs(last, now=now)}
    return [_seen(one, ticked.get(one.pk), now=now, language=language) for one in known]


def with_runs(ticks: Sequence[ScheduleTick], *, now: datetime) -> list[Ticked]:
    """These ticks with their runs, by one query for all."""
    runs = JobRun.objects.in_bulk([tick.run for tick in ticks if tick.run])
    return [_ticked(tick, runs.get(tick.run) if tick.run else None, now=now) for tick in ticks]


def drift_of(schedule: Schedule) -> list[Difference]:
    """Where the row says other than the code, its arguments masked."""
    if not schedule.by_code or schedule.code is None:
        return []
    row = {name: getattr(schedule, name) for name in FIELDS}
    names = differences(row, schedule.code)
    code = rows.shown_terms(rows.said(schedule.code, names), schedule.job)
    shown = rows.shown_terms(rows.said(row, names), schedule.job)
    return [_difference(name, code[name], shown[name], schedule.edited.get(name) or {}) for name in names]


def _difference(name: str, code: Any, row: Any, edited: dict[str, str]) -> Difference:
    at = datetime.fromisoformat(edited["at"]) if edited.get("at") else None
    return Difference(name, code, row, edited.get("by", ""), at)


def _last_ticks(schedules: Sequence[Schedule]) -> list[ScheduleTick]:
    latest = ScheduleTick.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    of_each = Schedule.objects.filter(pk__in=[one.pk for one in schedules]).values(last=Subquery(latest))
    return list(ScheduleTick.objects.filter(pk__in=of_each)) if schedules else []


def _ticked(tick: ScheduleTick, run: JobRun | None, *, now: datetime) -> Ticked:
    is_unstarted = run is not None and run.state in PENDING_STATES and run.started_at is None
    is_past = tick.late_told_at is not None or (tick.late_at is not None and tick.late_at <= now)
    return Ticked(tick, run, is_late=is_unstarted and is_past and tick.state == TickState.ASKED)


def _seen(schedule: Schedule, last: Ticked | None, *, now: datetime, language: str) -> Seen:
    standings = tuple(_standings(schedule, last, now=now)) or (Standing.ON,)
    try:
        cron = Cron(schedule.expression, schedule.timezone)
        words = in_words(schedule.expression, language)
    except BadSchedule as error:
        return Seen(schedule, last, standings, problem=str(error))
    return Seen(schedule, last, standings, words=words, next=due_times(cron, _resumes_at(schedule, now), SHOWN_TIMES))


def _resumes_at(schedule: Schedule, now: datetime) -> datetime:
    """From when on due times count: the end of a pause that ends by itself."""
    return max(now, schedule.paused_until) if schedule.paused_until else now


def _standings(schedule: Schedule, last: Ticked | None, *, now: datetime) -> Iterable[Standing]:
    if last is not None and last.is_late:
        yield Standing.LATE
    if last is not None and last.tick.state == TickState.FAILED:
        yield Standing.FAILED
    if schedule.paused_at is not None:
        yield Standing.PAUSED
        return
    if schedule.next_due_at is None:
        yield Standing.OVER
    elif schedule.next_due_at < now - OVERDUE_AFTER:
        yield Standing.OVERDUE
