"""What people do with a schedule that is there: each names its permission, and calls one verb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy

from jobs import schedules
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.keyset import key_or_none
from jobs.admin.moments import moment_to_come
from jobs.models import Schedule, ScheduleEdit
from jobs.schedules import operating, rows

LIST = "admin:jobs_schedule_changelist"
ONE = "admin:jobs_schedule_change"

latest_by_hand = operating.latest_by_hand


def _follow(schedule: Schedule, **words: Any) -> None:
    """Take back each term that differs from the code's."""
    code = schedule.code or {}
    schedules.edit(schedule, {one.term: code[one.term] for one in schedules.drift(schedule)}, **words)


def _is_removable(schedule: Schedule) -> bool:
    return not schedule.by_code or schedule.left_code_at is not None


ACTIONS = acting.named(
    Action(
        name="run",
        recorded="run_schedule",
        permission=access.RUN_SCHEDULE,
        label=gettext_lazy("Run now"),
        verb=schedules.run_now,
        done=gettext_lazy("Its run was asked for. It stands first among the ticks."),
        question=gettext_lazy("Run this schedule now?"),
        consequence=gettext_lazy(
            "One run is asked for at once, whether or not the schedule is paused or a run of it is under way. "
            "Its due times stay as they are."
        ),
        button=gettext_lazy("Run it now"),
    ),
    Action(
        name="pause",
        recorded="pause_schedule",
        permission=access.PAUSE_SCHEDULE,
        label=gettext_lazy("Pause"),
        verb=schedules.pause,
        done=gettext_lazy("Paused: nothing is asked for until it is resumed."),
        question=gettext_lazy("Pause this schedule?"),
        consequence=gettext_lazy(
            "What comes due meanwhile is left out, and is not made up for. Runs that were asked for go on."
        ),
        button=gettext_lazy("Pause the schedule"),
        wants_why=True,
        fits=lambda schedule: schedule.paused_at is None,
    ),
    Action(
        name="resume",
        recorded="resume_schedule",
        permission=access.PAUSE_SCHEDULE,
        label=gettext_lazy("Resume"),
        verb=schedules.resume,
        done=gettext_lazy("Resumed: it is due from now on."),
        question=gettext_lazy("Resume this schedule?"),
        consequence=gettext_lazy("Runs are asked for from its next due time on. What was left out stays left out."),
        button=gettext_lazy("Resume the schedule"),
        fits=lambda schedule: schedule.paused_at is not None and schedule.left_code_at is None,
    ),
    Action(
        name="follow",
        recorded="edit_schedule",
        permission=access.EDIT_SCHEDULE,
        label=gettext_lazy("Follow the code"),
        verb=_follow,
        done=gettext_lazy("It follows the code again."),
        question=gettext_lazy("Let this schedule follow the code again?"),
        consequence=gettext_lazy(
            "What people changed in it becomes what the code says, and follows the code from now on."
        ),
        button=gettext_lazy("Follow the code"),
        wants_why=True,
        fits=lambda schedule: bool(schedules.drift(schedule)),
    ),
    Action(
        name="remove",
        recorded="remove_schedule",
        permission=access.EDIT_SCHEDULE,
        label=gettext_lazy("Remove"),
        verb=schedules.remove,
        done=gettext_lazy("The schedule was removed. Runs that it asked for stay."),
        question=gettext_lazy("Remove this schedule?"),
        consequence=gettext_lazy(
            "It goes for good, with its ticks and the history of its edits. Runs that it asked for stay, and go on. "
            "Pause it instead if it may be wanted again."
        ),
        button=gettext_lazy("Remove the schedule"),
        destroys=True,
        fits=_is_removable,
    ),
)
IN_LIST = {name: ACTIONS[name] for name in ("run", "pause", "resume")}
REVERT = Action(
    name="revert",
    recorded="revert_schedule",
    permission=access.EDIT_SCHEDULE,
    label=gettext_lazy("Revert"),
    verb=schedules.revert,
    done=gettext_lazy("Reverted: it says again what it said before that edit."),
    question=gettext_lazy("Revert this edit?"),
    consequence=gettext_lazy("These terms get their earlier values. What was changed in others stays."),
    button=gettext_lazy("Revert the edit"),
    wants_why=True,
    fits=lambda edit: is_revertable(edit, edit.schedule),
)


@dataclass(frozen=True)
class ShownEdit:
    """An edit as people see it: each term with its value before, after and now, arguments masked."""

    edit: ScheduleEdit
    changes: list[tuple[str, Any, Any]]
    now: Mapping[str, Any]
    is_revertable: bool

    @property
    def is_first(self) -> bool:
        """Whether there was no schedule before it."""
        return not self.edit.before


def shown_edit(edit: ScheduleEdit, schedule: Schedule) -> ShownEdit:
    """An edit of this schedule, with what the schedule says now."""
    before, after = (rows.shown_terms(terms, schedule.job) for terms in (edit.before, edit.after))
    now = rows.shown_terms({name: getattr(schedule, name) for name in edit.before}, schedule.job)
    changes = [(name, before.get(name), value) for name, value in after.items()]
    return ShownEdit(edit, changes, now, is_revertable(edit, schedule))


def is_revertable(edit: ScheduleEdit, schedule: Schedule) -> bool:
    """Whether it changed what could be changed back, and has not been yet."""
    return any(getattr(schedule, name) != value for name, value in edit.before.items())


def find(pk: int) -> Schedule:
    """The schedule, else 404."""
    return get_object_or_404(Schedule, pk=key(pk))


def key(number: int) -> int:
    """A key that the database can be asked for."""
    if key_or_none(str(number), int) is None:
        raise Http404
    return number


def target(pk: int) -> str:
    """What the audit calls the schedule."""
    found = Schedule.objects.filter(pk=key(pk)).first()
    return str(found) if found else f"schedule {pk}"


def given(name: str, schedule: Schedule, sent: Mapping[str, str]) -> dict[str, Any]:
    """What the form of an action says beside the reason. Raises ValueError."""
    if name == "pause":
        return {"until": moment_to_come(sent.get("until", "").strip(), schedule.timezone)}
    if name == "run":
        return {"seen": key_or_none(sent.get("seen"), int) or 0}
    return {}
