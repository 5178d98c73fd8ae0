"""What was lost without a restart comes back too, little by little; what lives is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import sweeping
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobRun, RunState
from jobs.sweeping import Sweep
from jobs.worker import chores
from jobs.worker.recording import Recording
from tests.engine import OTHER, a_run, attempt_next, claim, hash_of, places, work_off
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


def grow_old() -> None:
    """Let all rows be asked for an hour ago, and pushed."""
    past = timezone.now() - HOUR
    JobRun.objects.update(created_at=past, pushed_at=past)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING, RunState.RUNNING])
def test_an_old_row_that_is_in_no_place_comes_back(state):
    row = a_run(state, attempts=1)
    grow_old()
    assert Sweep().slice() == 1
    assert places(row.pk) == ["queued:default"]
    assert Sweep().slice() == 0


def test_a_young_row_is_left_to_whoever_moves_it():
    row = a_run(RunState.RUNNING)
    assert Sweep().slice() == 0
    assert places(row.pk) == []


def test_what_lives_is_left_where_it_is():
    sample.add.enqueue_many([(n, n) for n in range(4)])
    later = sample.add.enqueue_in(600, 9, 9)
    held = claim()[0]
    attempt_next()
    grow_old()
    before = {key: client().dump(key) for key in client().keys("*")}
    assert Sweep().slice() == 0
    assert {key: client().dump(key) for key in client().keys("*")} == before
    assert places(held.run_id) == ["started:default"]
    assert places(later.id) == ["scheduled:default"]


def test_a_run_that_is_held_is_not_doubled_when_rqs_set_of_started_ones_is_gone():
    sample.add.enqueue(1, 1)
    claim()
    grow_old()
    client().delete("rq:wip:default")
    assert Sweep().slice() == 0
    client().set("rq:wip:default", "x")
    assert Sweep().slice() == 0
    assert claim(worker=OTHER) == []


def test_an_id_that_has_left_its_queue_comes_back_once():
    run = sample.add.enqueue(1, 1)
    grow_old()
    client().delete(keys.queue("default"))
    assert Sweep().slice() == 1
    assert places(run.id) == ["queued:default"]


def test_the_ids_of_a_very_long_queue_are_believed(monkeypatch):
    monkeypatch.setattr(sweeping, "_LONGEST_QUEUES", 0)
    first, second = sample.add.enqueue_many([(1, 1), (2, 2)])
    grow_old()
    client().lrem(keys.queue("default"), 0, str(first.id))
    assert Sweep().slice() == 0
    assert places(second.id) == ["queued:default"]


def test_a_cancellation_that_failed_in_the_middle_is_undone_when_its_marker_is_gone():
    run = sample.add.enqueue(1, 1)
    grow_old()
    client().lrem(keys.queue("default"), 0, str(run.id))
    client().hset(keys.job(str(run.id)), "status", "canceled")
    assert Sweep().slice() == 0
    client().delete(keys.job(str(run.id)))
    assert Sweep().slice() == 1
    work_off()
    assert run.state == "succeeded"


def test_a_run_whose_row_has_ended_is_removed():
    run = sample.add.enqueue(1, 1)
    JobRun.objects.update(state="succeeded", ended_at=timezone.now())
    assert Sweep().slice() == 1
    assert places(run.id) == []
    assert claim() == []


def test_a_later_life_than_the_ended_row_knows_is_not_removed():
    run = sample.add.enqueue(1, 1)
    client().hset(keys.job(str(run.id)), "life", 1)
    JobRun.objects.update(state="dead", ended_at=timezone.now())
    assert Sweep().slice() == 0
    assert hash_of(run.id)["status"] == "queued"


def test_each_slice_goes_on_where_the_last_one_ended(monkeypatch):
    monkeypatch.setattr(sweeping, "_ROWS_A_SLICE", 2)
    monkeypatch.setattr("jobs.lost._ROWS_AT_ONCE", 2)
    rows = [a_run(RunState.QUEUED) for _ in range(3)] + [a_run(RunState.RUNNING) for _ in range(2)]
    grow_old()
    sweep = Sweep()
    found = [sweep.slice() for _ in range(4)]
    assert sum(found) == 5
    assert max(found) <= 3
    assert [places(row.pk) for row in rows] == [["queued:default"]] * 5


def test_the_recording_process_sweeps_now_and_then(monkeypatch, caplog):
    monkeypatch.setattr(chores, "SWEEP_SECONDS", 0.0)
    row = a_run(RunState.RUNNING)
    grow_old()
    Recording().turn()
    assert places(row.pk) == ["queued:default"]
    assert "the sweep put back 1 lost runs" in caplog.text


def test_a_sweep_that_fails_does_not_keep_anything_from_being_recorded(monkeypatch, caplog):
    def fail(self):
        raise RuntimeError("no")

    monkeypatch.setattr(chores, "SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(Sweep, "slice", fail)
    run = sample.add.enqueue(1, 2)
    attempt_next()
    Recording().turn()
    assert run.state == "succeeded"
    assert "the sweep failed: no" in caplog.text
