"""Rows of schedules: their terms as a value, when to look at them again, and the history of their changes.

Whoever changes a row holds its lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min
from django.utils import timezone

from jobs import audit, conf, drafts, registry, timetable
from jobs.errors import BadSchedule, JobsError, StaleSchedule, did_you_mean
from jobs.models import Schedule, ScheduleEdit, ScheduleTick
from jobs.models.schedules import TickState
from jobs.policy.redaction import MASK, mask_text
from jobs.policy.scheduling import FIELDS, Terms
from jobs.schedules.asking import late_seconds

# How soon due times that wait for the run before them are looked at again.
WAITING_SECONDS = 1.0
# Just before a due time: what is due then is due after it.
INSTANT = timedelta(microseconds=1)


def terms_of(schedule: Schedule) -> Terms:
    """What the row says. Raises `BadSchedule` for what cannot be here, as a time zone that this system lacks."""
    return Terms(**terms_said(schedule))


def terms_said(schedule: Schedule) -> dict[str, Any]:
    """What the row says, also where it cannot be here."""
    return {name: getattr(schedule, name) for name in FIELDS}


def lock(schedule: Schedule, *, revision: int | None = None) -> Schedule:
    """The row, locked until the transaction ends. Raises `StaleSchedule` where it is gone, or of another revision."""
    row = Schedule.objects.select_for_update().filter(pk=schedule.pk).first()
    if row is None:
        raise StaleSchedule(f"The schedule {schedule.name} was removed meanwhile.")
    if revision is not None and row.revision != revision:
        raise StaleSchedule(
            f"Somebody changed the schedule {row.name} meanwhile. Look at it again, and change it then."
        )
    return row


def check(terms: Terms) -> None:
    """Raises `BadSchedule` or `UnknownJob` where runs could not be asked for by this code with these terms."""
    for _name, error in problems(terms):
        raise error


def problems(terms: Terms) -> Iterator[tuple[str, JobsError]]:
    """Why this code could not ask for runs with these terms, each with the term that is wrong."""
    checks: dict[str, Callable[[], object]] = {
        "job": lambda: registry.get(terms.job),
        "arguments": lambda: _check_arguments(terms),
        "queue": lambda: _check_queue(terms.queue),
        "on_late": lambda: terms.on_late and registry.get(terms.on_late),
    }
    for name, checked in checks.items():
        try:
            checked()
        except JobsError as error:
            yield name, error


def _check_arguments(terms: Terms) -> None:
    # A job that nobody knows is said by itself.
    if job := registry.find(terms.job):
        timetable.check_fit(job, terms)


def _check_queue(queue: str) -> None:
    known = conf.queue_names()
    if queue and queue not in known:
        raise BadSchedule(f'There is no queue "{queue}".{did_you_mean(queue, known)} There are {", ".join(known)}.')


def put(schedule: Schedule, terms: Mapping[str, Any], *, now: datetime) -> None:
    """Give the row these terms, and the due time that follows of them."""
    has_new_times = not terms.keys() <= _WITHOUT_TIMES
    if has_new_times:
        leave_out(schedule, "its times were changed before a worker looked", now=now)
    for name, value in terms.items():
        setattr(schedule, name, value)
    schedule.revision += 1
    if has_new_times:
        plan(schedule, now=now)


_WITHOUT_TIMES = set(FIELDS) - {"expression", "timezone"}


def leave_out(schedule: Schedule, why: str, *, now: datetime) -> None:
    """Write down what is due, was not looked at, and will not be, for the schedule changes now."""
    if schedule.next_due_at is None or schedule.next_due_at > now:
        return
    terms = terms_of(schedule)
    passed = terms.cron.passed(schedule.next_due_at - INSTANT, now, most=1)
    if passed is None:
        return
    is_late = now - passed.first > timedelta(seconds=late_seconds(terms))
    facts = {"state": TickState.MISSED, "why": why, "ticked_at": now, "late_at": now if is_late else None}
    stretch = {"until_at": passed.latest[-1], "count": passed.count}
    ScheduleTick.objects.get_or_create(schedule=schedule, due_at=passed.first, defaults={**facts, **stretch})
    schedule.last_due_at = passed.latest[-1]


def plan(schedule: Schedule, *, now: datetime) -> None:
    """Set the next due time: after now and after all that were looked at, and none before a pause has ended."""
    schedule.next_due_at = None
    since = max(filter(None, (now, schedule.last_due_at)))
    if schedule.paused_at is None:
        schedule.next_due_at = terms_of(schedule).cron.next(since)
    set_look(schedule, now=now)


def set_look(schedule: Schedule, *, now: datetime) -> None:
    """Set when a ticker has something to do: a due time, the end of a pause, one that waits, one that may be late."""
    late_at = ScheduleTick.objects.filter(schedule=schedule, late_at__isnull=False).aggregate(Min("late_at"))
    soon = now + timedelta(seconds=WAITING_SECONDS) if schedule.paused_at is None and waiting(schedule) else None
    times = (schedule.next_due_at, schedule.paused_until, late_at["late_at__min"], soon)
    schedule.look_at = min(filter(None, times), default=None)


def waiting(schedule: Schedule) -> int:
    """How many due times wait for the run before them."""
    return ScheduleTick.objects.filter(schedule=schedule, state=TickState.WAITING).count()


def note(
    schedule: Schedule,
    action: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    actor: str,
    reason: str,
    address: str = "",
    history: bool = True,
) -> ScheduleEdit | None:
    """Write down who changed what and why: in the audit, and where terms changed in the schedule's history."""
    audit.record(
        actor=actor,
        action=f"{action}_schedule",
        target=str(schedule),
        reason=reason,
        before=shown_terms(before, schedule.job),
        after=shown_terms(after, schedule.job),
        address=address,
    )
    if not history:
        return None
    return ScheduleEdit.objects.create(
        schedule=schedule,
        at=timezone.now(),
        actor=actor[:200],
        action=action,
        reason=mask_text(reason)[:500],
        before=dict(before),
        after=dict(after),
    )


def check_other_job(before: str, after: str) -> None:
    """Raises `BadSchedule` where arguments that one job masks would be seen with the other."""
    masked, seen = (set(drafts.sensitive_names(registry.find(job))) for job in (before, after))
    if names := sorted(masked - seen):
        raise BadSchedule(
            f"{before} masks {', '.join(names)}, and {after} would show them. Add another schedule for that one."
        )


def shown_arguments(schedule: Schedule) -> dict[str, Any]:
    """The arguments as people may see them."""
    return drafts.masked(registry.find(schedule.job), schedule.arguments)


def shown_terms(terms: Mapping[str, Any], job: str) -> dict[str, Any]:
    """Some terms, or what an edit has of them, as people may see them."""
    if "arguments" not in terms:
        return dict(terms)
    return {**terms, "arguments": drafts.masked(registry.find(job), terms["arguments"])}


def unmasked(given: Any, kept: Any) -> Any:
    """What was given, with what still is masked in it as it was kept: who edits masked arguments leaves those alone."""
    if given == MASK:
        return kept
    if isinstance(given, dict) and isinstance(kept, dict):
        return {name: unmasked(value, kept.get(name, value)) for name, value in given.items()}
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [unmasked(one, other) for one, other in zip(given, kept, strict=True)]
    return given


def said(terms: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Some of the terms."""
    return {name: terms.get(name) for name in names}
