"""What people see of schedules. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from jobs import timetable
from jobs.errors import BadSchedule, JobsError
from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.schedules import TickState
from jobs.policy import cron
from jobs.policy.scheduling import FIELDS
from jobs.schedules import lateness, operating, rows
from jobs.schedules.asking import late_seconds
from jobs.schedules.operating import NOT_IN_CODE

NEXT = 5
# How far back ticks are looked at for runs that have not started.
_OPEN_LATE = timedelta(days=7)


@dataclass(frozen=True)
class DueTime:
    """A due time in the schedule's zone. `change` is by how much the clock was set since the due time before it."""

    at: datetime
    change: timedelta = timedelta(0)

    @property
    def note(self) -> str:
        """What to know of it, empty where the clock was not set."""
        if not self.change:
            return ""
        minutes = abs(self.change) // timedelta(minutes=1)
        return f"clock {'forward' if self.change > timedelta(0) else 'back'} {minutes} min"


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
    """One schedule as lists show it. `run_state` is that of the last tick's run, empty where there is none."""

    schedule: Schedule
    words: str
    next: Sequence[DueTime]
    last: ScheduleTick | None
    run_state: str
    drift: Sequence[Drift]
    waiting: int = 0


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
    states: dict[UUID, str] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)


def in_words(expression: str) -> str:
    """The expression in words, such as "At 03:00, only on Monday". Raises `BadSchedule` for what is none."""
    fields = cron.fields_of(expression)
    # Its import takes a while, and only those who look need it.
    from cron_descriptor import ExpressionDescriptor, Options
    from cron_descriptor.Exception import FormatError, MissingFieldError, WrongArgumentError

    # Named, for it warns where the system names no locale.
    options = Options(locale_code="en_US", use_24hour_time_format=True)
    try:
        return ExpressionDescriptor(fields, options).get_description()
    except (FormatError, MissingFieldError, WrongArgumentError):
        return f"At the times of {expression}"


def upcoming(schedule: Schedule, count: int = NEXT, *, after: datetime | None = None) -> list[DueTime]:
    """The next due times in the schedule's zone, also of one that is paused: as if it were not."""
    since = after or max(filter(None, (timezone.now(), schedule.last_due_at)))
    return next_times(schedule.expression, schedule.timezone, count, after=since)


def next_times(expression: str, zone: str, count: int = NEXT, *, after: datetime | None = None) -> list[DueTime]:
    """The next due times of an expression. Raises `BadSchedule`."""
    times = cron.Cron(expression, zone)
    before = (after or timezone.now()).astimezone(times.zone)
    found = []
    for due in islice(times.due_times(before), count):
        local = due.astimezone(times.zone)
        change = (local.utcoffset() or timedelta(0)) - (before.utcoffset() or timedelta(0))
        found.append(DueTime(local, change))
        before = local
    return found


def drift(schedule: Schedule) -> list[Drift]:
    """In what the row differs from the code. Arguments are masked."""
    if not schedule.by_code or schedule.code is None:
        return []
    told = []
    code, row = (
        rows.shown_terms(terms, schedule.job) for terms in (schedule.code, operating.terms_of_anyhow(schedule))
    )
    for name in FIELDS:
        if schedule.code.get(name) != getattr(schedule, name):
            edited = schedule.edited.get(name, {})
            at = datetime.fromisoformat(edited["at"]) if "at" in edited else None
            told.append(Drift(name, code.get(name), row[name], edited.get("by", ""), at))
    return told


def lines(schedules: Iterable[Schedule] | None = None) -> list[Line]:
    """Schedules as lists show them, in three queries beside that of the rows."""
    there = list(Schedule.objects.order_by("name") if schedules is None else schedules)
    facts = _facts(there)
    return [_line(one, facts) for one in there]


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


def _line(schedule: Schedule, facts: _Facts) -> Line:
    last = facts.last.get(schedule.pk)
    state = facts.states.get(last.run, "") if last and last.run else ""
    try:
        words, times = in_words(schedule.expression), upcoming(schedule)
    except BadSchedule as error:
        words, times = str(error), []
    return Line(schedule, words, times, last, state, drift(schedule), facts.waiting.get(schedule.pk, 0))


def _facts(schedules: Sequence[Schedule]) -> _Facts:
    keys = [schedule.pk for schedule in schedules]
    latest = ScheduleTick.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    found = Schedule.objects.filter(pk__in=keys).order_by().values_list(Subquery(latest), flat=True)
    last = {tick.schedule_id: tick for tick in ScheduleTick.objects.filter(pk__in=[key for key in found if key])}
    runs = [tick.run for tick in last.values() if tick.run]
    states = dict(JobRun.objects.filter(pk__in=runs).values_list("pk", "state"))
    waiting: dict[int, int] = {}
    waits = ScheduleTick.objects.filter(schedule__in=keys, state=TickState.WAITING)
    for key in waits.values_list("schedule", flat=True):
        waiting[key] = waiting.get(key, 0) + 1
    return _Facts(last, states, waiting)


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
        state__in=[TickState.ASKED, TickState.WAITING], late_told_at__isnull=False, due_at__gte=now - _OPEN_LATE
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
