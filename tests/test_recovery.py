"""Dead jobs are retried by rule once the partner answers again, and no more of them than the rule allows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import bulk, circuits, recovery
from jobs.broker import inspect
from jobs.errors import BadOptions
from jobs.models import AuditEntry, BulkAction, DeadJob, JobRun, RecoveryRule
from jobs.registry import Job
from tests.engine import make_job, work_off
from tests.test_bulk import call_partner, partner, turn_until_over
from tests.test_dead import a_dead_run

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


@pytest.fixture
def dying(make_job: Callable[..., Job[..., Any]]) -> Job[..., Any]:
    partner["broken"] = False
    return make_job(call_partner, name="tests.dying", retry=1, circuit="recovery-partner")


def timed_out(count: int = 1, **facts: Any) -> None:
    for _ in range(count):
        a_dead_run(died=HOUR, **{"error_class": "TimeoutError", **facts})


def finish(action: BulkAction) -> BulkAction:
    return turn_until_over(action, between=work_off)


def test_without_a_rule_nothing_is_retried(dying: Job[..., Any]) -> None:
    timed_out()
    assert recovery.recover() == []
    assert JobRun.objects.get().state == "dead"


def test_timeouts_are_retried_when_the_partner_answers_again(dying: Job[..., Any]) -> None:
    timed_out(8)
    a_dead_run(died=HOUR, error_class="ValueError")
    recovery.add("tests.*", actor="ann", note="they are often away")
    (action,) = recovery.recover()
    assert (action.total, action.canary, action.rate, action.reason) == (8, 5, 10.0, "they are often away")
    assert action.actor == f"rule {RecoveryRule.objects.get().pk}: tests.*"
    assert recovery.recover() == []
    assert finish(action).done == 8
    assert DeadJob.objects.filter(resolution="").get().error_class == "ValueError"
    assert AuditEntry.objects.filter(actor=action.actor, action="requeue").exists()


def test_a_partner_that_is_still_away_gets_a_canary_and_then_its_rest(dying: Job[..., Any]) -> None:
    partner["broken"] = True
    timed_out(9)
    recovery.add("*", actor="ann", canary=2)
    (action,) = recovery.recover()
    assert (finish(action).state, action.refresh_from_db(), action.done) == ("stopped", None, 2)
    assert recovery.recover() == []
    BulkAction.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    partner["broken"] = False
    (again,) = recovery.recover()
    assert finish(again).done == 7


def test_nobody_is_tried_while_a_circuit_is_open(dying: Job[..., Any]) -> None:
    timed_out()
    recovery.add("*", actor="ann")
    circuits.force_open("recovery-partner", actor="bob")
    assert recovery.recover() == []
    circuits.force_close("recovery-partner", actor="bob")
    assert len(recovery.recover()) == 1


def test_a_rule_stops_when_others_have_to_wait(dying: Job[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    timed_out(3)
    recovery.add("*", actor="ann")
    (action,) = recovery.recover()
    monkeypatch.setattr(inspect, "waits_now", lambda names: {"default": 301.0})
    stopped = finish(action)
    assert (stopped.state, stopped.done) == ("stopped", 0)
    assert "longer than its limit of 300 s" in stopped.why


def test_no_more_than_its_limits(dying: Job[..., Any]) -> None:
    timed_out(5)
    timed_out(1, run={"life": 2}, life=2)
    a_dead_run(error_class="TimeoutError")
    recovery.add("*", actor="ann", per_hour=3, lives=2)
    (action,) = recovery.recover()
    assert finish(action).done == 3
    assert recovery.recover() == []
    BulkAction.objects.update(created_at=timezone.now() - HOUR)
    (rest,) = recovery.recover()
    assert finish(rest).done == 2


def test_a_rule_that_is_off_or_gone_asks_for_nothing(dying: Job[..., Any]) -> None:
    timed_out()
    rule = recovery.add("*", actor="ann")
    recovery.switch(rule, on=False, actor="bob", reason="not this week")
    assert recovery.recover() == []
    recovery.switch(rule, on=True, actor="bob")
    recovery.remove(rule, actor="bob")
    assert recovery.recover() == []
    said = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(said) == ["add rule", "switch off rule", "switch on rule", "remove rule"]


@pytest.mark.parametrize(
    "wrong",
    [{"jobs": ""}, {"per_hour": 0}, {"lives": 0}, {"rest": timedelta(seconds=1)}, {"canary": 0}, {"rate": 0.0}],
)
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadOptions):
        recovery.add(**{"jobs": "*", "actor": "ann", **wrong})
    assert not RecoveryRule.objects.exists()


def test_the_action_outlives_its_rule(dying: Job[..., Any]) -> None:
    timed_out()
    rule = recovery.add("*", actor="ann")
    (action,) = recovery.recover()
    recovery.remove(rule, actor="ann")
    assert finish(action).done == 1
    assert bulk.totals(action).ok == 1


def test_what_changes_nothing_leaves_no_trace() -> None:
    rule = recovery.add("*", actor="ann")
    recovery.switch(rule, on=True, actor="ann")
    assert [recovery.remove(rule, actor="ann") for _ in range(2)] == [None, None]
    recovery.switch(rule, on=False, actor="ann")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["add rule", "remove rule"]


def test_two_processes_that_look_at_once_ask_once(dying: Job[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    timed_out(3)
    recovery.add("*", actor="ann")
    # As the one saw it that looked before the other asked.
    monkeypatch.setattr(recovery, "_tries", lambda rule: [])
    assert len(recovery.recover()) == 1
    timed_out(3)
    assert recovery.recover() == []
