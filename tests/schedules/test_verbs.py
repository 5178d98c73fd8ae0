"""What people do with schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs import job, schedules
from jobs.errors import (
    BadSchedule,
    NotPausable,
    NotResumable,
    NotRevertable,
    NotRunnable,
    StaleSchedule,
    UnknownJob,
)
from jobs.models import AuditEntry, JobRun, Schedule, ScheduleEdit, ScheduleTick
from jobs.policy.redaction import MASK
from jobs.schedules.previews import preview
from tests.schedules.conftest import TERMS

pytestmark = pytest.mark.django_db

Adds = Callable[..., Schedule]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@job(name="tests.schedules.pay", sensitive=["card"])
def pay(card: str, amount: int) -> None: ...


@job(name="tests.schedules.pay_openly")
def pay_openly(card: str, amount: int) -> None: ...


@job(name="tests.schedules.rowless", durable=False)
def flood() -> None: ...


def test_a_schedule_is_due_after_it_was_added_and_not_before(a_schedule: Adds) -> None:
    with time_machine.travel(NOON, tick=False):
        schedule = a_schedule("0 3 * * *")
    assert schedule.next_due_at == schedule.look_at == datetime(2026, 5, 5, 1, tzinfo=UTC)
    assert not ScheduleTick.objects.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expression": "0 3 * *"}, "five fields"),
        ({"expression": "* * * * * *"}, "seconds"),
        ({"timezone": "Europe/Berln"}, 'Did you mean "Europe/Berlin"'),
        ({"queue": "lwo"}, 'Did you mean "low"'),
        ({"arguments": {"left": 1}}, "do not fit tests.sample.add"),
        ({"arguments": {"left": {1}, "right": 2}}, "plain JSON"),
        ({"missed": "sometimes"}, "skip, once, all"),
        ({"overlap": "never"}, "allow, skip, queue"),
        ({"jitter": -1}, "seconds from 0"),
        ({"late_after": 0}, "seconds from 1"),
        ({"most_missed": 0}, "whole number"),
        ({"job": "tests.schedules.rowless", "arguments": {}}, "durable"),
        ({"colour": "red"}, "has no 'colour'"),
        ({"timezone": ""}, "needs timezone"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(a_schedule: Adds, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadSchedule, match=told):
        schedules.add("x", {**TERMS, "arguments": {"left": 1, "right": 2}, **changes}, actor="ann")
    schedule = a_schedule()
    with pytest.raises(BadSchedule, match=told):
        schedules.edit(schedule, changes, actor="ann", reason="why not")
    assert not ScheduleEdit.objects.filter(action="edit").exists()


def test_an_unknown_job_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownJob, match=r'Did you mean "tests\.sample\.add"'):
        schedules.add("x", {**TERMS, "job": "tests.sample.addd"}, actor="ann")


def test_there_is_one_schedule_of_a_name(a_schedule: Adds) -> None:
    a_schedule()
    with pytest.raises(BadSchedule, match="already"):
        a_schedule()


def test_a_paused_schedule_is_not_due_and_a_resumed_one_from_then_on(a_schedule: Adds) -> None:
    schedule = a_schedule("0 * * * *")
    schedules.pause(schedule, actor="ann", reason="the partner is away")
    assert (schedule.next_due_at, schedule.look_at, schedule.paused_by) == (None, None, "ann")
    with pytest.raises(NotPausable, match="by ann: the partner is away"):
        schedules.pause(schedule, actor="bob", reason="again")
    with time_machine.travel(NOON + timedelta(days=365 * 10), tick=False):
        schedules.resume(schedule, actor="bob")
        assert schedule.next_due_at == timezone.now() + timedelta(hours=1)
    with pytest.raises(NotResumable):
        schedules.resume(schedule, actor="bob")
    assert list(AuditEntry.objects.order_by("id").values_list("action", "actor")) == [
        ("add_schedule", "ann"),
        ("pause_schedule", "ann"),
        ("resume_schedule", "bob"),
    ]


def test_an_edit_is_written_down_and_can_be_had_back(a_schedule: Adds) -> None:
    schedule = a_schedule("0 3 * * *")
    edit = schedules.edit(schedule, {"expression": "0 4 * * *", "jitter": 30}, actor="ann", reason="too early")
    assert edit is not None
    assert (schedule.expression, schedule.jitter, schedule.revision) == ("0 4 * * *", 30, 1)
    assert (edit.before, edit.after) == (
        {"expression": "0 3 * * *", "jitter": 0.0},
        {"expression": "0 4 * * *", "jitter": 30},
    )
    schedules.edit(schedule, {"overlap": "skip"}, actor="bob", reason="it takes long")
    schedules.revert(edit, actor="eve", reason="it was right before")
    schedule.refresh_from_db()
    assert (schedule.expression, schedule.jitter, schedule.overlap) == ("0 3 * * *", 0, "skip")
    assert schedules.revert(edit, actor="eve") is None
    assert [one.action for one in schedule.edits.all()] == ["revert", "edit", "edit", "add"]


def test_the_adding_of_a_schedule_cannot_be_had_back(a_schedule: Adds) -> None:
    with pytest.raises(NotRevertable, match="Remove"):
        schedules.revert(a_schedule().edits.get(), actor="ann")


def test_an_edit_of_what_somebody_else_changed_meanwhile_is_refused(a_schedule: Adds) -> None:
    schedule = a_schedule()
    schedules.edit(schedule, {"jitter": 5}, actor="ann", reason="spread", revision=0)
    with pytest.raises(StaleSchedule, match="meanwhile"):
        schedules.edit(schedule, {"jitter": 6}, actor="bob", reason="spread", revision=0)
    schedules.remove(schedule, actor="ann", reason="over")
    with pytest.raises(StaleSchedule, match="removed"):
        schedules.pause(Schedule(pk=schedule.pk or 1, name="nightly"), actor="ann", reason="late")


def test_an_edit_that_changes_nothing_leaves_no_trace(a_schedule: Adds) -> None:
    schedule = a_schedule()
    assert schedules.edit(schedule, {"jitter": 0.0}, actor="ann", reason="") is None
    assert AuditEntry.objects.count() == 1


def test_a_new_time_is_never_one_that_was_looked_at_already(a_schedule: Adds) -> None:
    with time_machine.travel(NOON, tick=False):
        schedule = a_schedule("0 * * * *")
        Schedule.objects.update(last_due_at=NOON + timedelta(hours=5))
        schedules.edit(schedule, {"expression": "30 * * * *"}, actor="ann", reason="the clock was wrong")
    assert schedule.next_due_at == NOON + timedelta(hours=5, minutes=30)


def test_a_masked_argument_that_is_left_alone_keeps_its_value(a_schedule: Adds) -> None:
    terms = {"job": "tests.schedules.pay", "arguments": {"card": "4111", "amount": 3}}
    schedule = a_schedule(**terms)
    shown = schedules.shown_arguments(schedule)
    assert shown == {"card": "[redacted]", "amount": 3}
    schedules.edit(schedule, {"arguments": {**shown, "amount": 4}}, actor="ann", reason="dearer")
    assert schedule.arguments == {"card": "4111", "amount": 4}
    assert "4111" not in repr(list(AuditEntry.objects.values()))


def test_a_run_by_hand_is_a_tick_and_changes_no_due_time(a_schedule: Adds) -> None:
    schedule = a_schedule(jitter=600)
    due = schedule.next_due_at
    schedules.pause(schedule, actor="ann", reason="later")
    tick = schedules.run_now(schedule, actor="bob", reason="the report is wanted")
    run = JobRun.objects.get(pk=tick.run)
    assert (tick.state, tick.by_hand) == ("asked", "bob")
    assert (run.name, run.arguments, run.due_at) == ("tests.sample.add", {"left": 1, "right": 2}, None)
    schedules.resume(schedule, actor="ann")
    assert schedule.next_due_at == due
    assert AuditEntry.objects.get(action="run_schedule").actor == "bob"


def test_a_schedule_whose_job_is_gone_cannot_be_run(a_schedule: Adds) -> None:
    schedule = a_schedule()
    Schedule.objects.update(job="tests.gone")
    with pytest.raises(NotRunnable, match="No job is named"):
        schedules.run_now(schedule, actor="ann")
    assert not ScheduleTick.objects.exists()


def test_a_removed_schedule_is_gone_and_its_runs_stay(a_schedule: Adds) -> None:
    schedule = a_schedule()
    schedules.run_now(schedule, actor="ann")
    schedules.remove(schedule, actor="ann", reason="over")
    assert not Schedule.objects.exists()
    assert JobRun.objects.count() == 1
    entry = AuditEntry.objects.get(action="remove_schedule")
    assert entry.before["expression"] == "0 3 * * *"


def test_what_one_job_masks_is_not_shown_with_another(a_schedule: Adds) -> None:
    schedule = a_schedule(job="tests.schedules.pay", arguments={"card": "4-secret", "amount": 1})
    open_one = {"job": "tests.schedules.pay_openly"}
    with pytest.raises(BadSchedule, match="masks card"):
        schedules.edit(schedule, open_one, actor="eve", reason="to see it")
    told = open_one | {"arguments": {"card": MASK, "amount": 2}}
    shown = preview(told, now=timezone.now(), schedule=schedule)
    assert "masks card" in shown.problems["job"][0]
    assert "4-secret" not in repr(shown)


@pytest.mark.parametrize("amount", [float("nan"), {1}, {1: 2}])
def test_arguments_that_cannot_be_are_refused_without_what_is_masked_in_them(a_schedule: Adds, amount: Any) -> None:
    schedule = a_schedule(job="tests.schedules.pay", arguments={"card": "4-secret", "amount": 1})
    told = {"arguments": {"card": MASK, "amount": amount}}
    assert "4-secret" not in repr(preview(told, now=timezone.now(), schedule=schedule))
    with pytest.raises(BadSchedule) as refused:
        schedules.edit(schedule, told, actor="eve", reason="to see it")
    assert "4-secret" not in str(refused.value)


def test_a_pause_ends_within_a_time_that_rows_can_hold(a_schedule: Adds) -> None:
    until = datetime.fromisoformat("9999-12-31T23:59:59-23:59")
    with pytest.raises(BadSchedule, match="within 100 years"):
        schedules.pause(a_schedule(), actor="ann", reason="for ever", until=until)
