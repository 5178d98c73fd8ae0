"""What people see of schedules. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from jobs import timetable
from jobs.errors import BadSchedule, JobsError
from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.schedules import TickState
from jobs.policy.cron import Cron
from jobs.policy.cron_words import DueTime, due_times, in_words
from jobs.policy.scheduling import FIELDS
from jobs.schedules import lateness, rows
from jobs.schedules.asking import late_seconds
from jobs.schedules.operating import NOT_IN_CODE

NEXT = 5


@dataclass(frozen=True)
class Drift:
    """A term in which a row differs from the code, since when and by whom."""

    term: str
    code: object
    row: object
    by: str
    at: datetime | None

    def __str__(self) -> str:
        since = f" since {self.at:%Y-%m-%d %H:%M %Z}" if self.at else ""
        by = f" by {self.by}" if self.by else ""
        return f"{self.term}: the code says {self.code!r}, the row says {self.row!r}{since}{by}"


@dataclass(frozen=True)
class Line:
    """One schedule as lists show it. `run` is that of the last tick, None where it is not there.

    `is_late`: that run has not started for too long. `problem`: why this system cannot say when it is due.
    """

    schedule: Schedule
    words: str
    next: Sequence[DueTime]
    last: ScheduleTick | None
    run: JobRun | None
    drift: Sequence[Drift]
    waiting: int = 0
    is_late: bool = False
    problem: str = ""

    @property
    def run_state(self) -> str:
        """The state of the run, empty where there is none."""
        return self.run.state if self.run else ""


@dataclass(frozen=True)
class Finding:
    """What somebody should look at. `kind` is "late", "overdue", "failed", "drift" or "not in the rows"."""

    schedule: str
    kind: str
    words: str

    def __str__(self) -> str:
        return f"{self.schedule}: {self.words}"


@dataclass
class _Facts:
    """What lists need beside the rows, in few queries."""

    last: dict[int, ScheduleTick] = field(default_factory=dict)
    runs: dict[UUID, JobRun] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)


def upcoming(schedule: Schedule, count: int = NEXT, *, after: datetime | None = None) -> list[DueTime]:
    """The next due times in the schedule's zone, from the end of its pause on; as if it had none where that is open."""
    since = after or max(filter(None, (timezone.now(), schedule.last_due_at, schedule.paused_until)))
    return next_times(schedule.expression, schedule.timezone, count, after=since)


def next_times(expression: str, zone: str, count: int = NEXT, *, after: datetime | None = None) -> list[DueTime]:
    """The next due times of an expression. Raises `BadSchedule`."""
    return due_times(Cron(expression, zone), after or timezone.now(), count)


def drift(schedule: Schedule) -> list[Drift]:
    """In what the row differs from the code. Arguments are masked."""
    if not schedule.by_code or schedule.code is None:
        return []
    told = []
    code, row = (rows.shown_terms(terms, schedule.job) for terms in (schedule.code, rows.terms_said(schedule)))
    for name in FIELDS:
        if schedule.code.get(name) != getattr(schedule, name):
            edited = schedule.edited.get(name, {})
            at = datetime.fromisoformat(edited["at"]) if "at" in edited else None
            told.append(Drift(name, code.get(name), row[name], edited.get("by", ""), at))
    return told


def lines(schedules: Iterable[Schedule] | None = None, *, language: str = "en") -> list[Line]:
    """Schedules as lists show them, in four queries beside that of the rows."""
    there = list(Schedule.objects.order_by("name") if schedules is None else schedules)
    facts = _facts(there)
    return [_line(one, facts, language) for one in there]


def findings() -> list[Finding]:
    """What somebody should look at: due times whose runs did not start, and rows that differ from the code."""
    now = timezone.now()
    there = list(Schedule.objects.order_by("name"))
    found = []
    for schedule in there:
        found += _overdue(schedule, now)
        found += [Finding(schedule.name, "drift", str(one)) for one in drift(schedule)]
        if schedule.left_code_at is not None:
            since = f"{schedule.left_code_at:%Y-%m-%d %H:%M %Z}"
            found.append(Finding(schedule.name, "drift", f"{NOT_IN_CODE} since {since}"))
    found += _not_started(there, now)
    names = {schedule.name for schedule in there if schedule.by_code}
    missing = [name for name in timetable.declared() if name not in names]
    found += [Finding(name, "not in the rows", "the code declares it, and no row follows it yet") for name in missing]
    return found


def without_row() -> list[str]:
    """The schedules that this code declares and of which there is no row yet, by name."""
    declared = timetable.declared()
    there = set(Schedule.objects.filter(by_code=True, name__in=declared).values_list("name", flat=True))
    return [name for name in declared if name not in there]


def _line(schedule: Schedule, facts: _Facts, language: str) -> Line:
    last = facts.last.get(schedule.pk)
    run = facts.runs.get(last.run) if last and last.run else None
    is_late = last is not None and lateness.is_late(last, run, now=timezone.now())
    problem = ""
    try:
        words, times = in_words(schedule.expression, language), upcoming(schedule)
    except BadSchedule as error:
        problem = words = str(error)
        times = []
    return Line(schedule, words, times, last, run, drift(schedule), facts.waiting.get(schedule.pk, 0), is_late, problem)


def _facts(schedules: Sequence[Schedule]) -> _Facts:
    keys = [schedule.pk for schedule in schedules]
    latest = ScheduleTick.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    found = Schedule.objects.filter(pk__in=keys).order_by().values_list(Subquery(latest), flat=True)
    last = {tick.schedule_id: tick for tick in ScheduleTick.objects.filter(pk__in=[key for key in found if key])}
    runs = [tick.run for tick in last.values() if tick.run]
    found_runs = JobRun.objects.defer("payload", "result").in_bulk(runs)
    waiting: dict[int, int] = {}
    waits = ScheduleTick.objects.filter(schedule__in=keys, state=TickState.WAITING)
    for key in waits.values_list("schedule", flat=True):
        waiting[key] = waiting.get(key, 0) + 1
    return _Facts(last, found_runs, waiting)


def _overdue(schedule: Schedule, now: datetime) -> list[Finding]:
    """Whether a due time passed and no ticker has looked."""
    if schedule.next_due_at is None:
        return []
    try:
        limit = schedule.jitter + late_seconds(rows.terms_of(schedule))
    except JobsError as error:
        return [Finding(schedule.name, "failed", str(error))]
    if now - schedule.next_due_at <= timedelta(seconds=limit):
        return []
    since = schedule.next_due_at
    return [Finding(schedule.name, "overdue", f"due since {since:%Y-%m-%d %H:%M:%S %Z}, and no worker has looked")]


def _not_started(schedules: Sequence[Schedule], now: datetime) -> list[Finding]:
    """Late ones whose run still waits, and due times that were missed or failed last."""
    names = {schedule.pk: schedule.name for schedule in schedules}
    late = ScheduleTick.objects.filter(
        state__in=[TickState.ASKED, TickState.WAITING], late_told_at__isnull=False, due_at__gte=now - lateness.OPEN_LATE
    )
    found = list(late.order_by("due_at"))
    waits = lateness.unstarted([tick.run for tick in found if tick.run])
    told = [
        Finding(names[tick.schedule_id], "late", f"due {tick.due_at:%Y-%m-%d %H:%M:%S %Z}: {why}")
        for tick in found
        if tick.schedule_id in names and (why := _why_open(tick, waits))
    ]
    for tick in _facts(schedules).last.values():
        if tick.late_told_at and tick.state in (TickState.MISSED, TickState.FAILED):
            words = f"due {tick.due_at:%Y-%m-%d %H:%M:%S %Z}: {tick.why}"
            told.append(Finding(names[tick.schedule_id], "failed" if tick.state == TickState.FAILED else "late", words))
    return told


def _why_open(tick: ScheduleTick, waits: set[UUID]) -> str:
    if tick.state == TickState.WAITING:
        return tick.why
    return lateness.NOT_STARTED if tick.run in waits else ""
