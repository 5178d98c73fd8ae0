"""How schedules stand: what is to be said of each, and of which it is. Changes nothing, and asks Redis nothing."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.schedules import TickState
from jobs.schedules import lateness, looking
from jobs.schedules.looking import Line

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
class Seen:
    """A schedule as pages show it: as lists do, and what is to be said of it, what needs a look first."""

    line: Line
    standings: tuple[Standing, ...]

    @property
    def last(self) -> Ticked | None:
        """Its last due time."""
        line = self.line
        return Ticked(line.last, line.run, line.is_late) if line.last else None


def seen(schedules: Iterable[Schedule], *, now: datetime, language: str = "en") -> list[Seen]:
    """These schedules as pages show them, in the four queries of `lines`."""
    lines = looking.lines(schedules, language=language)
    return [Seen(line, tuple(_standings(line, now)) or (Standing.ON,)) for line in lines]


def conditions(now: datetime) -> dict[str, Q]:
    """What rows are asked for those that stand in a way that people look for."""
    return {
        Standing.LATE.value: Q(pk__in=lateness.late(now=now).values("schedule")),
        Standing.OVERDUE.value: Q(paused_at__isnull=True, next_due_at__lt=now - OVERDUE_AFTER),
        Standing.PAUSED.value: Q(paused_at__isnull=False),
        "drift": Q(by_code=True) & ~Q(edited={}),
    }


def with_runs(ticks: Sequence[ScheduleTick], *, now: datetime) -> list[Ticked]:
    """These ticks with their runs, by one query for all."""
    runs = JobRun.objects.defer("payload", "result").in_bulk([tick.run for tick in ticks if tick.run])
    found = [(tick, runs.get(tick.run) if tick.run else None) for tick in ticks]
    return [Ticked(tick, run, lateness.is_late(tick, run, now=now)) for tick, run in found]


def _standings(line: Line, now: datetime) -> Iterator[Standing]:
    schedule = line.schedule
    if line.is_late:
        yield Standing.LATE
    if line.last is not None and line.last.state == TickState.FAILED:
        yield Standing.FAILED
    if schedule.paused_at is not None:
        yield Standing.PAUSED
    elif schedule.next_due_at is None:
        yield Standing.OVER
    elif schedule.next_due_at < now - OVERDUE_AFTER:
        yield Standing.OVERDUE
