"""Runs that have not died: which changes of state there are, cancelling, and what is kept how long."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import audit, recorder, retention, runs
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from jobs.broker.keys import scheduled
from jobs.broker.schedule import tick
from jobs.errors import BrokerUnavailable, NotCancellable, NotStoppable
from jobs.models import AuditEntry, DeadJob, JobAttempt, JobRun, RunState, pruning
from jobs.models.runs import ENDED_STATES, PENDING_STATES
from jobs.relay import relay
from tests.at_once import at_once
from tests.engine import a_run, attempt_next, claim, make_job, places, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


ALLOWED = {(old, new) for old in PENDING_STATES for new in RunState} | {
    (RunState.DEAD, RunState.QUEUED),
    (RunState.DEAD, RunState.DISCARDED),
}


def test_a_state_changes_only_as_it_may_and_ends_have_a_time():
    rows = [(old, new, a_run(old)) for old in RunState for new in RunState]
    changed = {(old, new) for old, new, row in rows if runs.transition(row, new, at=timezone.now(), worker="w")}
    assert changed == ALLOWED
    runs.save_all([row for _, _, row in rows])
    for old, new, row in rows:
        row.refresh_from_db()
        assert (row.state, row.worker) == ((new, "w") if (old, new) in ALLOWED else (old, ""))
        assert (row.ended_at is not None) == (row.state in ENDED_STATES)


def test_what_a_transition_sets_is_what_is_saved():
    run = a_run(RunState.QUEUED)
    runs.transition(
        run, RunState.SUCCEEDED, at=timezone.now(), result={"a": [1]}, attempts=2, error_message="ü", run_ms=5
    )
    runs.save_all([run])
    again = JobRun.objects.get()
    assert (again.state, again.result, again.attempts, again.error_message) == ("succeeded", {"a": [1]}, 2, "ü")


def test_a_null_result_stays_null_in_the_database():
    run = a_run(RunState.QUEUED)
    runs.transition(run, RunState.SUCCEEDED, at=timezone.now(), result=None)
    runs.save_all([run])
    assert JobRun.objects.filter(result__isnull=True).exists()


def test_saving_many_is_one_statement():
    rows = [a_run(RunState.QUEUED) for _ in range(20)]
    with CaptureQueriesContext(connection) as captured:
        runs.save_all(rows)
        runs.save_all([])
    assert len(captured) == 1


# Cancelling.


@pytest.mark.parametrize("ask", [lambda: sample.add.enqueue(1, 2), lambda: sample.add.enqueue_in(60, 1, 2)])
def test_a_run_that_waits_can_be_cancelled(ask):
    run = ask()
    runs.cancel(run.row(), actor="ann", reason="test order", address="10.0.0.1")
    assert (run.state, places(run.id), claim()) == ("cancelled", [], [])
    assert run.row().ended_at is not None
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target, entry.reason) == ("ann", "cancel", str(run.id), "test order")
    assert entry.before["state"] in ("queued", "scheduled")
    assert entry.after == {"state": "cancelled"}


def test_a_run_that_waits_for_its_retry_can_be_cancelled(make_job):
    def fail():
        raise OSError("down")

    run = make_job(fail).enqueue()
    attempt_next()
    recorder.record_all()
    assert run.state == "retrying"
    runs.cancel(run.row(), actor="ann")
    assert (run.state, places(run.id)) == ("cancelled", [])
    assert client().zcard(scheduled("default")) == 0


def test_a_started_run_cannot_be_cancelled_though_its_row_does_not_know_yet():
    run = sample.add.enqueue(1, 2)
    claim()
    assert run.state == "queued"
    with pytest.raises(NotCancellable, match="just started"):
        runs.cancel(run.row(), actor="ann")
    assert (run.state, places(run.id)) == ("queued", ["started:default"])
    assert not AuditEntry.objects.exists()


def test_an_ended_run_cannot_be_cancelled_though_its_row_does_not_know_yet():
    run = sample.add.enqueue(1, 2)
    attempt_next()
    with pytest.raises(NotCancellable):
        runs.cancel(run.row(), actor="ann")
    recorder.record_all()
    assert run.state == "succeeded"


@pytest.mark.parametrize("state", [RunState.RUNNING, *ENDED_STATES])
def test_a_run_in_another_state_is_refused_by_its_name(state):
    row = a_run(state)
    with pytest.raises(NotCancellable, match=f"is {state}"):
        runs.cancel(row, actor="ann")


def test_a_run_that_is_gone_is_refused():
    row = a_run(RunState.QUEUED)
    JobRun.objects.all().delete()
    with pytest.raises(NotCancellable, match="gone"):
        runs.cancel(row, actor="ann")


def test_a_run_that_was_not_pushed_yet_is_cancelled_and_never_pushed():
    row = a_run(RunState.QUEUED, created_at=timezone.now() - timedelta(minutes=1))
    runs.cancel(row, actor="ann")
    assert relay() == 0
    assert places(row.pk) == []


def test_a_requeued_run_that_was_not_pushed_yet_can_be_cancelled(make_job):
    def fail():
        raise OSError("down")

    run = make_job(fail, retry=1).enqueue()
    work_off()
    JobRun.objects.update(state=RunState.QUEUED, life=1, ended_at=None, pushed_at=None)
    runs.cancel(run.row(), actor="ann")
    assert (run.state, places(run.id)) == ("cancelled", [])


def test_a_cancel_that_fails_leaves_the_run_where_it_was(monkeypatch):
    run = sample.add.enqueue(1, 2)

    def refuse(**facts):
        raise RuntimeError("no room")

    monkeypatch.setattr(audit, "record", refuse)
    with pytest.raises(RuntimeError):
        runs.cancel(run.row(), actor="ann")
    assert (run.state, places(run.id)) == ("queued", ["queued:default"])


def roll_back_a_cancel(row: JobRun) -> None:
    with contextlib.suppress(_Rollback), transaction.atomic():
        runs.cancel(row, actor="ann")
        assert claim() == []
        raise _Rollback


def come_due(run_id: object) -> None:
    """Let a run that is scheduled be due, as if its time had come."""
    client().zadd(scheduled("default"), {str(run_id): 1}, xx=True)
    tick([], ["default", "jobs.suspects.default"])


class _Rollback(Exception):
    pass


def test_a_cancel_whose_callers_transaction_rolls_back_gives_the_run_back():
    run = sample.add.enqueue(1, 2)
    roll_back_a_cancel(run.row())
    assert run.state == "queued"
    # It comes back by itself, within a minute.
    assert places(run.id) == ["scheduled:default"]
    assert 50 <= client().zscore(scheduled("default"), str(run.id)) - time.time() <= 60
    come_due(run.id)
    work_off()
    assert run.state == "succeeded"


def test_a_cancel_that_is_rolled_back_does_not_bring_a_due_time_nearer():
    run = sample.add.enqueue_in(timedelta(hours=1), 1, 2)
    before = client().zscore(scheduled("default"), str(run.id))
    roll_back_a_cancel(run.row())
    assert client().zscore(scheduled("default"), str(run.id)) == before


def test_a_suspect_whose_cancel_is_rolled_back_stays_one():
    run = sample.add.enqueue(1, 2)
    client().lmove("rq:queue:default", "rq:queue:jobs.suspects.default")
    roll_back_a_cancel(run.row())
    client().zadd(scheduled("jobs.suspects.default"), {str(run.id): 1}, xx=True)
    tick([], ["default", "jobs.suspects.default"])
    assert places(run.id) == ["queued:jobs.suspects.default"]


def test_a_cancel_in_a_transaction_counts_when_that_commits():
    run, fresh = sample.add.enqueue(1, 2), None
    with transaction.atomic():
        runs.cancel(run.row(), actor="ann")
        fresh = sample.add.enqueue(1, 2)
        runs.cancel(fresh.row(), actor="ann")
    assert [one.state for one in (run, fresh)] == ["cancelled", "cancelled"]
    assert places(run.id) == places(fresh.id) == []
    assert claim() == []


def test_a_started_run_is_not_cancelled_in_a_transaction_either():
    run = sample.add.enqueue(1, 2)
    claim()
    with transaction.atomic(), pytest.raises(NotCancellable, match="just started"):
        runs.cancel(run.row(), actor="ann")
    assert (run.state, places(run.id)) == ("queued", ["started:default"])


def test_a_cancelled_run_that_redis_keeps_is_told_of(monkeypatch, caplog):
    run = sample.add.enqueue(1, 2)
    real = runs.withdraw

    def away_after_the_commit(*args, aside_seconds=None, **facts):
        if aside_seconds is None:
            raise BrokerUnavailable("away")
        return real(*args, aside_seconds=aside_seconds, **facts)

    monkeypatch.setattr(runs, "withdraw", away_after_the_commit)
    with transaction.atomic():
        runs.cancel(run.row(), actor="ann")
    assert run.state == "cancelled"
    assert "may run" in caplog.text


def test_without_redis_nobody_can_say_whether_it_started(settings):
    row = sample.add.enqueue(1, 2).row()
    server = EmbeddedServer()
    server.start()
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    server.stop()
    with pytest.raises(BrokerUnavailable):
        runs.cancel(row, actor="ann")
    row.refresh_from_db()
    assert row.state == "queued"


@pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.RUNNING}))
def test_only_a_run_that_is_running_can_be_stopped(state):
    row = a_run(state)
    with pytest.raises(NotStoppable, match=row.get_state_display()):
        runs.stop(row, actor="ann")
    assert not AuditEntry.objects.exists()
    assert not client().exists(f"jobs:stop:{row.rq_id}")


def test_a_stop_that_cannot_be_ordered_leaves_no_trace(monkeypatch):
    def refuse(*args):
        raise BrokerUnavailable("away")

    monkeypatch.setattr(runs, "order", refuse)
    with pytest.raises(BrokerUnavailable):
        runs.stop(a_run(RunState.RUNNING), actor="ann")
    assert not AuditEntry.objects.exists()


def test_of_a_start_and_a_cancel_at_once_exactly_one_happens():
    asked = sample.add.enqueue_many([(number, 1) for number in range(20)])
    started: set[str] = set()
    cancelled: set[str] = set()

    def start():
        while taken := claim(1):
            started.add(taken[0].run_id)

    def cancel():
        for run in reversed(asked):
            try:
                runs.cancel(run.row(), actor="ann")
                cancelled.add(str(run.id))
            except NotCancellable:
                pass

    at_once(lambda act: act(), [start, cancel])
    assert started | cancelled == {str(run.id) for run in asked}
    assert started & cancelled == set()


# Pruning.


def test_ended_runs_are_kept_as_long_as_their_state_says(jobs_settings):
    jobs_settings(KEEP_DAYS={"succeeded": 1})
    for state in ENDED_STATES:
        for days in (0.5, 2, 31, 91):
            a_run(state, ended=timedelta(days=days))
    for state in PENDING_STATES:
        a_run(state, created_at=timezone.now() - timedelta(days=400))
    counts = retention.prune()
    assert counts == {"succeeded": 3, "discarded": 2, "cancelled": 2, "dead": 1}
    assert JobRun.objects.filter(state__in=PENDING_STATES).count() == 4
    assert JobRun.objects.filter(ended_at__isnull=False).count() == 8
    assert retention.prune() == {"succeeded": 0, "discarded": 0, "cancelled": 0, "dead": 0}


def test_an_age_of_ones_own_replaces_the_days_of_the_states_that_are_named():
    for state in ENDED_STATES:
        a_run(state, ended=timedelta(hours=2))
    would = retention.prunable(states=["dead"], older_than=timedelta(hours=1))
    assert JobRun.objects.count() == 4
    assert would == retention.prune(states=["dead"], older_than=timedelta(hours=1)) == {"dead": 1}


def test_pruning_goes_in_chunks_and_takes_what_belongs_to_a_run(monkeypatch):
    monkeypatch.setattr(pruning, "_AT_ONCE", 3)
    for number in range(8):
        row = a_run(RunState.DEAD, ended=timedelta(days=100))
        DeadJob.objects.create(run=row, life=0, name="x", queue="default", reason="exhausted", died_at=row.ended_at)
        JobAttempt.objects.create(
            run=row, number=1, token=str(number), started_at=row.ended_at, ended_at=row.ended_at, run_ms=1, worker="w"
        )
    assert retention.prune()["dead"] == 8
    assert not DeadJob.objects.exists()
    assert not JobAttempt.objects.exists()


def test_a_run_that_is_revived_meanwhile_is_not_pruned(monkeypatch):
    row = a_run(RunState.DEAD, ended=timedelta(days=100))
    found = retention.prunable()
    JobRun.objects.filter(pk=row.pk).update(state=RunState.QUEUED, ended_at=None, life=F("life") + 1)
    assert found["dead"] == 1
    assert retention.prune()["dead"] == 0
    assert JobRun.objects.exists()
