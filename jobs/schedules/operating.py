"""What people do with schedules. Each verb is one transaction, with its row in the audit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs import timetable
from jobs.errors import (
    BadSchedule,
    JobsError,
    NotPausable,
    NotRemovable,
    NotResumable,
    NotRevertable,
    NotRunnable,
)
from jobs.models import Schedule, ScheduleEdit, ScheduleTick
from jobs.policy.redaction import mask_text
from jobs.policy.scheduling import FIELDS, Terms, changed, differences
from jobs.schedules import asking, rows
from jobs.schedules.rows import note, said, terms_of, terms_said

_LONGEST_NAME = 200
# A page that has been open for longer is not about a second click.
_LATELY = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(days=36_525)


def add(name: str, terms: Mapping[str, Any], *, actor: str, reason: str = "", address: str = "") -> Schedule:
    """Add a schedule that the code does not declare. `terms` are those of `policy.scheduling.Terms`, by name.

    Raises `BadSchedule` for what cannot be or where there is one of this name, and `UnknownJob`.
    """
    check_name(name)
    told = changed(_blank(terms), {key: terms[key] for key in terms if key not in _NEEDED})
    rows.check(told)
    schedule = new_row(name, told, actor=actor, now=timezone.now())
    try:
        with transaction.atomic(using=router.db_for_write(Schedule)):
            schedule.save(force_insert=True)
            note(schedule, "add", before={}, after=told.as_json(), actor=actor, reason=reason, address=address)
    except IntegrityError as error:
        raise BadSchedule(_there_is(name)) from error
    return schedule


def check_name(name: str) -> None:
    """Raises `BadSchedule` where nobody can add a schedule of this name."""
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME or not name.isprintable():
        raise BadSchedule(f"name={name!r}: pass a printable text of 1 to {_LONGEST_NAME} characters")
    if name in timetable.declared():
        raise BadSchedule(f'The code declares a schedule "{name}". Choose another name.')
    if Schedule.objects.filter(name=name).exists():
        raise BadSchedule(_there_is(name))


def edit(
    schedule: Schedule,
    changes: Mapping[str, Any],
    *,
    actor: str,
    reason: str,
    address: str = "",
    revision: int | None = None,
) -> ScheduleEdit | None:
    """Change terms of a schedule. What stays masked in `arguments` keeps its value. None where nothing changed.

    `revision` is the one that was looked at. Of a schedule from the code, the changed terms no longer follow it, and
    its job cannot be changed. Raises `BadSchedule`, `UnknownJob`, and `StaleSchedule`.
    """
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(schedule, revision=revision)
        wanted = dict(changes)
        if "arguments" in wanted:
            wanted["arguments"] = rows.unmasked(wanted["arguments"], row.arguments)
        made = _change(row, wanted, "edit", actor=actor, reason=reason, address=address)
    schedule.refresh_from_db()
    return made


def revert(edited: ScheduleEdit, *, actor: str, reason: str = "", address: str = "") -> ScheduleEdit | None:
    """Give the terms that an edit changed the values from before it; what was changed later in others stays.

    None where they have them already. Raises `NotRevertable`, `BadSchedule`, and `StaleSchedule`.
    """
    if not edited.before:
        raise NotRevertable("Before this edit there was no schedule. Remove the schedule, or pause it.")
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(edited.schedule)
        return _change(row, edited.before, "revert", actor=actor, reason=reason, address=address)


def pause(schedule: Schedule, *, actor: str, reason: str, until: datetime | None = None, address: str = "") -> None:
    """Ask for no more runs: what comes due meanwhile is left out, and what waits goes on waiting.

    `until` ends it by itself. Raises `NotPausable`, `BadSchedule`, `StaleSchedule`.
    """
    now = timezone.now()
    if until is not None and (until.tzinfo is None or not timedelta(0) < until - now <= _LONGEST_PAUSE):
        raise BadSchedule(f"until={until}: pass an aware datetime that is to come, within 100 years")
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(schedule)
        if row.paused_at is not None:
            raise NotPausable(f"The schedule {row.name} is paused already, by {row.paused_by}: {row.paused_reason}")
        _pause(row, by=actor, reason=reason, until=until, now=now)
        row.save()
        after = {"paused": True, "until": until.isoformat() if until else None}
        note(row, "pause", before={}, after=after, actor=actor, reason=reason, address=address, history=False)
    schedule.refresh_from_db()


def resume(schedule: Schedule, *, actor: str, reason: str = "", address: str = "") -> None:
    """Ask for runs again, from the next due time on. Raises `NotResumable` and `StaleSchedule`."""
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(schedule)
        if row.left_code_at is not None:
            raise NotResumable(
                f"The code has the schedule {row.name} no more. Add one of your own, or declare it again."
            )
        if row.paused_at is None:
            raise NotResumable(f"The schedule {row.name} is not paused.")
        end_pause(row, now=timezone.now(), actor=actor, reason=reason, address=address)
        row.save()
    schedule.refresh_from_db()


def run_now(
    schedule: Schedule, *, actor: str, reason: str = "", address: str = "", seen: int | None = None
) -> ScheduleTick:
    """Ask for one run at once, whether or not the schedule is paused or a run of it is pending. Returns its tick.

    `seen` is the latest tick by hand that was looked at, 0 for none: where there is a later one, a second click changes
    nothing. Raises `NotRunnable` for that, and where this code cannot ask for the run; and `StaleSchedule`.
    """
    now = timezone.now()
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(schedule)
        _check_none_since(row, seen, now=now)
        try:
            tick = asking.ask(row, terms_of(row), now, now=now, by_hand=actor)
        except JobsError as error:
            raise NotRunnable(f"The schedule {row.name} cannot run: {error}") from error
        if tick is None:
            raise NotRunnable(f"The schedule {row.name} was run at this very moment. Look at its ticks.")
        rows.set_look(row, now=now)
        row.save()
        after = {"run": str(tick.run) if tick.run else None, "state": tick.state}
        note(row, "run", before={}, after=after, actor=actor, reason=reason, address=address, history=False)
    return tick


def remove(schedule: Schedule, *, actor: str, reason: str, address: str = "") -> None:
    """Delete a schedule that a person added, or that the code has no more, with its ticks and its history.

    Runs that it asked for stay. Raises `NotRemovable` and `StaleSchedule`.
    """
    with transaction.atomic(using=router.db_for_write(Schedule)):
        row = rows.lock(schedule)
        if row.by_code and row.left_code_at is None:
            raise NotRemovable(f"The code declares the schedule {row.name}. Remove its @cron there, or pause it here.")
        before = said(terms_said(row), FIELDS)
        note(row, "remove", before=before, after={}, actor=actor, reason=reason, address=address, history=False)
        row.delete()


def new_row(name: str, terms: Terms, *, actor: str, now: datetime) -> Schedule:
    """A schedule that is not saved: it is due from now on."""
    row = Schedule(name=name, created_at=now, created_by=actor[:200])
    for field, value in terms.as_json().items():
        setattr(row, field, value)
    row.next_due_at = row.look_at = terms.cron.next(now)
    return row


def pause_for_code(row: Schedule, *, now: datetime) -> None:
    """Pause a locked row that the code has no more; one that a person paused stays theirs."""
    if row.paused_at is None:
        _pause(row, by=CODE, reason=NOT_IN_CODE, until=None, now=now)


def end_pause(row: Schedule, *, now: datetime, actor: str, reason: str = "", address: str = "") -> None:
    """End the pause of a locked row: it is due from now on."""
    before = {"paused_by": row.paused_by, "why": row.paused_reason}
    row.paused_at, row.paused_by, row.paused_reason, row.paused_until = None, "", "", None
    rows.plan(row, now=now)
    note(row, "resume", before=before, after={}, actor=actor, reason=reason, address=address, history=False)


CODE = "the code"
NOT_IN_CODE = "not in the code any more"


def latest_by_hand(schedule: Schedule, *, now: datetime) -> ScheduleTick | None:
    """The tick of who ran it by hand last, within the last hour."""
    lately = ScheduleTick.objects.filter(schedule=schedule, due_at__gt=now - _LATELY)
    return lately.exclude(by_hand="").order_by("-pk").first()


def _check_none_since(row: Schedule, seen: int | None, *, now: datetime) -> None:
    latest = latest_by_hand(row, now=now) if seen is not None else None
    if latest is not None and latest.pk > (seen or 0):
        raise NotRunnable(
            f"{latest.by_hand} has run the schedule {row.name} since you looked. Look at its ticks, and run it again "
            "from there if it still needs to."
        )


def _pause(row: Schedule, *, by: str, reason: str, until: datetime | None, now: datetime) -> None:
    rows.leave_out(row, "it was paused before a worker looked", now=now)
    row.paused_at, row.paused_by = now, by[:200]
    row.paused_reason, row.paused_until = mask_text(reason)[:500], until
    rows.plan(row, now=now)


def _change(
    row: Schedule, changes: Mapping[str, Any], action: str, *, actor: str, reason: str, address: str
) -> ScheduleEdit | None:
    before = terms_said(row)
    terms = changed(_blank(before | dict(changes)), {**before, **changes})
    if row.by_code and terms.job != row.job:
        raise BadSchedule(f"The code declares the schedule {row.name} for {row.job}: its job cannot be changed here.")
    rows.check_other_job(row.job, terms.job)
    names = differences(before, after := terms.as_json())
    if not names:
        return None
    rows.check(terms)
    now = timezone.now()
    rows.put(row, said(after, names), now=now)
    mark_edited(row, names, actor=actor, now=now)
    row.save()
    return note(
        row, action, before=said(before, names), after=said(after, names), actor=actor, reason=reason, address=address
    )


def mark_edited(row: Schedule, names: list[str], *, actor: str, now: datetime) -> None:
    """Remember which terms differ from the code's, and since when by whom."""
    if not row.by_code or row.code is None:
        return
    for name in names:
        if getattr(row, name) == row.code.get(name):
            row.edited.pop(name, None)
        else:
            row.edited[name] = {"by": actor[:200], "at": now.isoformat()}


def _there_is(name: str) -> str:
    return f'There is a schedule "{name}" already. Edit that one, or choose another name.'


_NEEDED = ("job", "expression", "timezone")


def _blank(terms: Mapping[str, Any]) -> Terms:
    """The terms that every schedule needs. Raises `BadSchedule` where one is left out."""
    if missing := [name for name in _NEEDED if not terms.get(name)]:
        raise BadSchedule(f"A schedule needs {', '.join(missing)}.")
    return Terms(**{name: terms[name] for name in _NEEDED})
