"""Bulk actions: each is done once, at its rate, and stops by itself when its cohort fails."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import bulk, circuits, dead, pending
from jobs.broker import inspect
from jobs.broker.schedule import tick
from jobs.bulk import BadBulk, Selection, turning
from jobs.errors import NotReschedulable
from jobs.jobs import prune_runs
from jobs.models import AuditEntry, BulkAction, DeadJob, JobRun, RunState
from jobs.models.bulk import BulkState, BulkVerb
from jobs.policy.ramp import Ramp, Release
from jobs.registry import Job
from jobs.worker import nightly
from tests.at_once import at_once
from tests.engine import a_run, attempt_next, hash_of, make_job, places, work_off
from tests.test_dead import a_dead_run

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

partner: dict[str, bool] = {}


def call_partner(number: int = 0) -> None:
    if partner["broken"]:
        raise OSError(f"no {number}")


@pytest.fixture
def dying(make_job: Callable[..., Job[..., Any]]) -> Job[..., Any]:
    """A job whose runs die while its partner is broken."""
    partner["broken"] = True
    return make_job(call_partner, name="tests.dying", retry=1)


def some_dead(count: int) -> None:
    for _ in range(count):
        a_dead_run()


def ask(ramp: Ramp | None = None, *, verb: BulkVerb = BulkVerb.REQUEUE, **words: Any) -> BulkAction:
    selection = words.pop("selection", Selection())
    action, _ = bulk.ask(verb, selection, actor="ann", reason="it is back", ramp=ramp, **words)
    return action


def turn_until_over(action: BulkAction, *, between: Callable[[], object] = lambda: None, most: int = 200) -> BulkAction:
    """Take turns until it is over; who waits a second has let it pass."""
    for _ in range(most):
        seconds = bulk.turn(action.pk)
        if seconds is None:
            action.refresh_from_db()
            return action
        between()
        if seconds:
            pass_time(action, seconds)
    raise AssertionError(f"not over after {most} turns")


def pass_time(action: BulkAction, seconds: float) -> None:
    action.refresh_from_db()
    if action.released_at:
        BulkAction.objects.filter(pk=action.pk).update(released_at=action.released_at - timedelta(seconds=seconds))


def released() -> int:
    return DeadJob.objects.filter(resolution="requeued").count()


# Asking.


def test_an_action_is_asked_for_with_what_matches_now_and_its_audit_row(dying: Job[..., Any]) -> None:
    some_dead(3)
    a_dead_run(name="tests.other")
    action = ask(Ramp(canary=2, rate=50.0), selection=Selection({"name": "tests.dying"}))
    some_dead(1)
    assert (action.total, action.state) == (3, "asked")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.count) == ("bulk requeue ask", f"bulk action {action.pk}", 3)
    assert (entry.actor, entry.reason, entry.filter) == ("ann", "it is back", {"name": "tests.dying"})
    assert JobRun.objects.get(name="jobs.run_bulk").queue == "critical"


def test_the_same_question_asked_twice_is_one_action(dying: Job[..., Any]) -> None:
    some_dead(2)
    first, new = bulk.ask(BulkVerb.REQUEUE, Selection(), actor="ann", key="form 1")
    again, new_again = bulk.ask(BulkVerb.REQUEUE, Selection(), actor="ann", key="form 1")
    assert (first.pk, new, new_again) == (again.pk, True, False)
    assert JobRun.objects.filter(name="jobs.run_bulk").count() == 1


def test_who_comes_of_age_after_the_question_stays_out(dying: Job[..., Any], monkeypatch: Any) -> None:
    a_dead_run(died=timedelta(hours=2))
    a_dead_run(died=timedelta(minutes=59))
    action = ask(selection=Selection({"older_than": timedelta(hours=1)}))
    later = timezone.now() + timedelta(minutes=5)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert turn_until_over(action).done == 1


# Going on.


def test_without_a_ramp_all_go_in_chunks_each_with_its_audit_row(dying: Job[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("jobs.policy.ramp.CHUNK", 2)
    some_dead(5)
    action = turn_until_over(ask())
    assert (action.state, action.done, action.left) == ("finished", 5, {})
    assert list(AuditEntry.objects.filter(action="requeue").values_list("count", flat=True).order_by("pk")) == [2, 2, 1]
    assert set(DeadJob.objects.values_list("bulk", flat=True)) == {action.pk}
    assert AuditEntry.objects.filter(action="requeue")[0].filter == {"bulk action": action.pk}


def test_what_dies_after_the_question_stays_out(dying: Job[..., Any]) -> None:
    some_dead(2)
    action = ask()
    some_dead(1)
    assert turn_until_over(action).done == 2
    assert dead.matching().count() == 1


def test_against_a_broken_partner_it_stops_within_its_canary(dying: Job[..., Any]) -> None:
    some_dead(30)
    action = turn_until_over(ask(Ramp(canary=5, rate=50.0)), between=work_off)
    assert action.state == "stopped"
    assert "failed again, and no more than 20 % of 5 may" in action.why
    assert released() == action.done == 5
    assert AuditEntry.objects.filter(action="bulk requeue stop", actor=f"bulk action {action.pk}").count() == 1


def test_a_canary_that_is_to_be_tried_again_has_failed_for_now(make_job: Callable[..., Job[..., Any]]) -> None:
    partner["broken"] = True
    make_job(call_partner, name="tests.dying", retry=9)
    some_dead(9)
    action = turn_until_over(ask(Ramp(canary=2)), between=work_off)
    assert (action.state, released()) == ("stopped", 2)
    assert set(JobRun.objects.filter(burials__bulk=action).values_list("state", flat=True)) == {"retrying"}


def test_against_a_healed_one_it_goes_on_in_growing_steps_to_the_end(dying: Job[..., Any]) -> None:
    partner["broken"] = False
    some_dead(40)
    steps: list[int] = []

    def look() -> None:
        work_off()
        steps.append(released())

    action = turn_until_over(ask(Ramp(canary=5)), between=look)
    assert (action.state, action.done, action.why) == ("finished", 40, "")
    assert sorted(set(steps)) == [5, 30, 40]
    totals = bulk.totals(action)
    assert (totals.ok, totals.failed, totals.waiting) == (40, 0, 0)


def test_a_canary_is_waited_for(dying: Job[..., Any]) -> None:
    some_dead(9)
    action = ask(Ramp(canary=3))
    assert bulk.turn(action.pk) == 0.0
    assert [bulk.turn(action.pk) for _ in range(3)] == [1.0, 1.0, 1.0]
    assert released() == 3


def test_it_keeps_to_its_rate(dying: Job[..., Any]) -> None:
    some_dead(9)
    action = ask(Ramp(rate=3.0))
    assert bulk.turn(action.pk) == 0.0
    assert (bulk.turn(action.pk), released()) == (1.0, 3)
    pass_time(action, 2.0)
    assert (bulk.turn(action.pk), released()) == (0.0, 9)


def test_it_stops_when_a_queue_waits_too_long(dying: Job[..., Any], monkeypatch: Any) -> None:
    some_dead(9)
    monkeypatch.setattr(inspect, "waits_now", lambda names: {"default": 61.0})
    action = turn_until_over(ask(Ramp(rate=3.0, max_wait=60.0)))
    assert action.why == 'the queue "default" has waited 61 s, which is longer than its limit of 60 s'
    assert released() == 0


def test_it_stops_when_a_circuit_of_its_jobs_opens(make_job: Callable[..., Job[..., Any]]) -> None:
    partner["broken"] = False
    make_job(call_partner, name="tests.dying", retry=1, circuit="bulk-partner")
    some_dead(9)
    action = ask(Ramp(rate=3.0))
    bulk.turn(action.pk)
    circuits.force_open("bulk-partner", actor="bob", reason="they are down")
    action = turn_until_over(action)
    assert (action.state, action.why, released()) == ("stopped", 'the circuit "bulk-partner" is open', 3)
    circuits.force_close("bulk-partner", actor="bob")
    bulk.resume(action, actor="ann")
    assert turn_until_over(action, between=work_off).done == 9


def test_what_is_left_alone_is_counted_and_is_no_canary(dying: Job[..., Any]) -> None:
    for _ in range(3):
        a_dead_run(queue="removed")
    some_dead(6)
    partner["broken"] = True
    action = turn_until_over(ask(Ramp(canary=2)), between=work_off)
    assert action.left == {'its queue "removed" is not in RQ_QUEUES': 3}
    assert (action.state, action.done) == ("stopped", 2)


def test_what_somebody_else_dealt_with_meanwhile_is_told(dying: Job[..., Any]) -> None:
    some_dead(5)
    action = ask(Ramp(canary=2))
    bulk.turn(action.pk)
    partner["broken"] = False
    work_off()
    dead.discard_all(dead.matching(), actor="bob", reason="no need")
    action = turn_until_over(action, between=work_off)
    assert (action.state, action.done) == ("finished", 2)
    assert action.left == {"dealt with by somebody else meanwhile": 3}


def test_a_cohort_that_never_ends_is_not_waited_for_for_ever(dying: Job[..., Any]) -> None:
    some_dead(5)
    action = ask(Ramp(canary=2))
    bulk.turn(action.pk)
    pass_time(action, 1801)
    assert bulk.turn(action.pk) is None
    action.refresh_from_db()
    assert (action.state, action.why) == (
        "stopped",
        "2 of those that went have not come to an end within 30 min",
    )


def test_when_all_have_gone_the_last_are_waited_for_a_minute_only(dying: Job[..., Any]) -> None:
    some_dead(2)
    action = ask(Ramp(canary=2))
    bulk.turn(action.pk)
    pass_time(action, 61)
    assert bulk.turn(action.pk) is None
    action.refresh_from_db()
    assert (action.state, action.why) == ("finished", "2 of those that went have not come to an end within 1 min")


# Once.


def test_two_that_take_turns_at_once_do_none_twice(dying: Job[..., Any]) -> None:
    some_dead(12)
    action = ask(Ramp(rate=1000.0))
    BulkAction.objects.update(tokens=2.0)

    def take_turns(_: int) -> None:
        for _ in range(20):
            bulk.turn(action.pk)

    at_once(take_turns, range(2))
    action.refresh_from_db()
    assert (action.done, action.left) == (12, {})
    assert JobRun.objects.filter(name="tests.dying", life=1).count() == 12
    assert sum(AuditEntry.objects.filter(action="requeue").values_list("count", flat=True)) == 12


def test_what_fails_in_mid_chunk_has_done_nothing(dying: Job[..., Any], monkeypatch: Any) -> None:
    some_dead(3)
    action = ask()

    def fail(*arguments: Any, **words: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(BulkAction, "save", fail)
    with pytest.raises(OSError, match="full"):
        bulk.turn(action.pk)
    monkeypatch.undo()
    assert released() == 0
    assert turn_until_over(action).done == 3


# Pause, stop and resume.


def test_a_paused_action_rests_and_goes_on_where_it_was(dying: Job[..., Any]) -> None:
    some_dead(6)
    action = ask(Ramp(rate=2.0))
    bulk.turn(action.pk)
    bulk.pause(action, actor="bob", reason="lunch")
    assert bulk.turn(action.pk) is None
    action.refresh_from_db()
    assert (action.state, action.why, action.done) == ("paused", "bob: lunch", 2)
    bulk.resume(action, actor="bob")
    partner["broken"] = False
    action = turn_until_over(action, between=work_off)
    assert (action.state, action.done) == ("finished", 6)


def test_what_stopped_goes_on_with_a_new_canary_that_is_judged_alone(dying: Job[..., Any]) -> None:
    some_dead(30)
    action = turn_until_over(ask(Ramp(canary=3)), between=work_off)
    assert (action.state, released()) == ("stopped", 3)
    bulk.resume(action, actor="ann")
    assert bulk.turn(action.pk) == 0.0
    assert released() == 6
    partner["broken"] = False
    action = turn_until_over(action, between=work_off)
    assert (action.state, action.done) == ("finished", 30)
    assert (bulk.totals(action).ok, bulk.totals(action).failed) == (27, 3)


def test_what_is_resumed_has_a_run_of_its_own_while_the_one_before_has_not_ended(dying: Job[..., Any]) -> None:
    some_dead(3)
    action = ask(Ramp(rate=2.0))
    bulk.pause(action, actor="ann")
    bulk.resume(action, actor="ann")
    assert list(JobRun.objects.filter(name=bulk.JOB).order_by("pk").values_list("payload", flat=True)) == [
        [[action.pk, 0], {}],
        [[action.pk, 1], {}],
    ]
    # The earlier one ends without a turn.
    attempt_next()
    assert released() == 0
    attempt_next()
    assert released() == 2


def test_who_is_done_can_be_neither_stopped_nor_resumed(dying: Job[..., Any]) -> None:
    action = turn_until_over(ask())
    for verb in (bulk.stop, bulk.pause, bulk.resume):
        with pytest.raises(BadBulk, match="is finished"):
            verb(action, actor="ann")
    assert AuditEntry.objects.count() == 1


def test_a_stop_leaves_the_rest_dead(dying: Job[..., Any]) -> None:
    some_dead(5)
    action = ask(Ramp(rate=2.0))
    bulk.turn(action.pk)
    bulk.stop(action, actor="bob", reason="enough", address="10.0.0.1")
    assert bulk.turn(action.pk) is None
    assert dead.matching().count() == 3
    entry = AuditEntry.objects.order_by("-pk")[0]
    assert (entry.action, entry.actor, entry.reason, entry.address) == (
        "bulk requeue stop",
        "bob",
        "enough",
        "10.0.0.1",
    )
    assert (entry.before, entry.after) == ({"state": "ramping"}, {"state": "stopped"})


# The job.


def test_its_own_run_takes_the_turns_and_waits_in_no_thread(dying: Job[..., Any]) -> None:
    some_dead(5)
    action = ask(Ramp(canary=2))
    attempt_next()
    run = JobRun.objects.get(name="jobs.run_bulk")
    assert released() == 2
    assert places(run.pk) == ["scheduled:critical"]
    assert hash_of(run.pk)["attempts"] == "0"
    action.refresh_from_db()
    assert action.state == "canary"


def test_an_action_that_lost_its_run_gets_another(dying: Job[..., Any]) -> None:
    some_dead(1)
    action = ask()
    JobRun.objects.filter(name="jobs.run_bulk").delete()
    assert bulk.revive() == 0
    BulkAction.objects.update(touched_at=timezone.now() - timedelta(minutes=2))
    assert (bulk.revive(), bulk.revive()) == (1, 0)
    assert JobRun.objects.filter(name="jobs.run_bulk").count() == 1
    turn_until_over(action)


def test_the_setting_names_its_queue(dying: Job[..., Any], jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(BULK_QUEUE="low")
    ask()
    assert JobRun.objects.get().queue == "low"


# The other verbs.


def test_many_are_discarded_for_good(dying: Job[..., Any]) -> None:
    some_dead(3)
    action = turn_until_over(ask(verb=BulkVerb.DISCARD))
    assert (action.state, action.done) == ("finished", 3)
    assert JobRun.objects.filter(state=RunState.DISCARDED).count() == 3


def test_many_that_wait_are_cancelled(dying: Job[..., Any]) -> None:
    waiting = [dying.enqueue(number) for number in range(3)]
    ended = a_run("succeeded")
    keys = (*[run.id for run in waiting], ended.pk)
    action = turn_until_over(ask(verb=BulkVerb.CANCEL, selection=Selection(keys=keys)))
    assert (action.done, action.left) == (3, {"the run is succeeded": 1})
    assert [run.state for run in waiting] == ["cancelled"] * 3
    assert [places(run.id) for run in waiting] == [[]] * 3
    assert AuditEntry.objects.get(action="cancel").count == 3


def test_many_that_are_due_later_run_now(dying: Job[..., Any]) -> None:
    partner["broken"] = False
    later = [dying.enqueue_in(3600, number) for number in range(2)]
    queued = dying.enqueue(3)
    keys = (*[run.id for run in later], queued.id)
    action = turn_until_over(ask(verb=BulkVerb.RUN_NOW, selection=Selection(keys=keys)))
    assert (action.done, action.left) == (2, {"the run is queued": 1})
    tick([], ["default"])
    work_off()
    assert [run.state for run in later] == ["succeeded"] * 2


def test_one_run_that_waits_for_its_retry_runs_now(make_job: Callable[..., Job[..., Any]]) -> None:
    partner["broken"] = True
    run = make_job(call_partner, name="tests.dying", retry=9).enqueue(1)
    work_off()
    assert run.state == "retrying"
    pending.run_now(run.row(), actor="ann", reason="it is back", address="10.0.0.1")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("run_now", str(run.id), "it is back")
    assert run.row().due_at <= timezone.now()
    tick([], ["default"])
    assert places(run.id) == ["queued:default"]
    with pytest.raises(NotReschedulable, match="the run is succeeded"):
        pending.run_now(a_run("succeeded"), actor="ann")


def test_a_run_that_is_not_pushed_yet_is_due_now_too(dying: Job[..., Any]) -> None:
    row = a_run("scheduled", name="tests.dying", due_at=timezone.now() + timedelta(hours=1))
    pending.run_now(row, actor="ann")
    row.refresh_from_db()
    assert row.due_at <= timezone.now()


def test_the_wait_of_a_queue_is_that_of_its_next_run(dying: Job[..., Any]) -> None:
    assert inspect.waits_now(["default", "low"]) == {"default": 0.0, "low": 0.0}
    dying.enqueue(1)
    assert 0 <= inspect.waits_now(["default"])["default"] < 30
    assert inspect.waits_now([]) == {}


def test_a_decision_of_before_a_resume_does_not_pass_over_the_new_canary(dying: Job[..., Any]) -> None:
    some_dead(30)
    action = ask(Ramp(canary=5))
    bulk.turn(action.pk)
    stale = BulkAction.objects.get(pk=action.pk)
    bulk.stop(action, actor="ann")
    bulk.resume(action, actor="ann")
    turning._let_go(stale, Release(25, step=25, left=0), allowance=25, now=timezone.now())
    turning._end(stale, BulkState.STOPPED, "its canary failed")
    action.refresh_from_db()
    assert (action.done, action.step, action.is_open) == (5, 0, True)


def test_who_is_over_for_long_is_removed_and_what_it_did_stays(dying: Job[..., Any]) -> None:
    some_dead(1)
    old, paused = turn_until_over(ask(verb=BulkVerb.DISCARD)), ask()
    bulk.pause(paused, actor="ann")
    assert not bulk.is_anything_prunable()
    BulkAction.objects.update(created_at=timezone.now() - timedelta(days=91))
    BulkAction.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=91))
    assert nightly.is_anything_prunable()
    assert prune_runs("2026-05-04")["bulk actions"] == 1
    assert BulkAction.objects.get() == paused
    assert (DeadJob.objects.get().resolution, DeadJob.objects.get().bulk) == ("discarded", None)
