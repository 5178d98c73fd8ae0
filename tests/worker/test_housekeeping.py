"""What dead workers held is taken back, whatever else is there."""

from __future__ import annotations

import pytest

from jobs import recorder
from jobs.broker import claim as claims
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.schedule import tick
from jobs.broker.settle import settle_and_claim
from jobs.errors import BrokerUnavailable
from jobs.models import JobAttempt
from jobs.worker import housekeeping, lifecycle
from jobs.worker.tokens import Tokens
from tests.broker.messages import pushed
from tests.engine import WORKER, claim, hash_of, places
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held() -> str:
    """The id of a run whose worker is dead."""
    (run_id,) = pushed()
    claim()
    client().zadd(keys.LEASES, {WORKER.id: 1, "ghost": 0})
    return run_id


@pytest.mark.parametrize("place", ["garbage", b"\xff\xfe", ""])
def test_a_damaged_place_does_not_keep_a_dead_workers_runs(held, place):
    client().hset(keys.held("ghost"), "tok", place)
    assert housekeeping.reclaim_all_silent(tick([], []).ended) == 1
    assert places(held) == ["queued:default"]
    assert tick([], []).ended == []


def test_a_key_of_another_type_does_not_keep_a_dead_workers_runs(held):
    client().set(keys.held("ghost"), "x")
    assert housekeeping.reclaim_all_silent(tick([], []).ended) == 1
    assert places(held) == ["queued:default"]
    assert tick([], []).ended == []


@pytest.mark.parametrize("crashed", [True, False])
def test_a_damaged_run_does_not_keep_the_other_runs_of_its_worker(held, crashed):
    (other,) = pushed()
    claim()
    client().delete(keys.job(held))
    client().set(keys.job(held), "x")
    assert housekeeping.reclaim_dead(WORKER, crashed=crashed) == 2
    assert places(other) == [f"queued:{keys.suspects('default') if crashed else 'default'}"]
    assert claims.held_by(WORKER.id) == []


def test_a_worker_that_cannot_be_taken_back_does_not_keep_the_others(held, monkeypatch, caplog):
    fine = claims.held_by

    def hurt(worker_id):
        if worker_id == "ghost":
            raise RuntimeError("no")
        return fine(worker_id)

    monkeypatch.setattr(claims, "held_by", hurt)
    assert housekeeping.reclaim_all_silent(["ghost", WORKER.id]) == 1
    assert places(held) == ["queued:default"]
    assert "what ghost held could not be taken back" in caplog.text


def test_a_refusal_for_one_is_raised_once_the_others_were_tried(held, monkeypatch):
    fine = claims.held_by

    def hurt(worker_id):
        if worker_id == "ghost":
            raise BrokerUnavailable("no")
        return fine(worker_id)

    monkeypatch.setattr(claims, "held_by", hurt)
    with pytest.raises(BrokerUnavailable):
        housekeeping.reclaim_all_silent(["ghost", WORKER.id])
    assert places(held) == ["queued:default"]


def test_runs_that_had_not_begun_are_as_if_they_had_not_been_claimed():
    sample.add.enqueue_many([(1, 1), (2, 2), (3, 3)])
    begun, waiting, last = settle_and_claim(WORKER, [], Tokens().fresh(3), ["default"])[1]
    assert housekeeping.reclaim_dead(WORKER, crashed=True, latest_begun=1) == 3
    assert [places(one.run_id) for one in (waiting, last)] == [["queued:default"]] * 2
    assert client().lrange(keys.queue("default"), 0, -1) == [waiting.run_id.encode(), last.run_id.encode()]
    assert hash_of(waiting.run_id)["attempts"] == "0"
    # The other one was alone, so the crash is its own.
    assert hash_of(begun.run_id)["crashes"] == "1"
    recorder.record_all()
    outcomes = dict(JobAttempt.objects.values_list("run__rq_id", "outcome"))
    assert outcomes == {begun.run_id: "crashed"}


def test_a_crash_is_no_abandonment_when_another_supervisor_looks_at_that_moment(monkeypatch):
    """It would hand the run back, uncounted, to where it kills its neighbours once more."""
    (run_id,) = pushed()
    claim()
    looked_for = claims.held_by

    def meanwhile(worker_id):
        monkeypatch.setattr(claims, "held_by", looked_for)
        housekeeping.reclaim_all_silent(tick([], []).ended)
        return looked_for(worker_id)

    monkeypatch.setattr(claims, "held_by", meanwhile)
    assert housekeeping.reclaim_dead(WORKER, crashed=True) == 1
    assert hash_of(run_id)["crashes"] == "1"
    assert places(run_id) == [f"scheduled:{keys.suspects('default')}"]


def test_what_could_not_be_taken_back_of_a_dead_process_is_left_to_any_supervisor(monkeypatch):
    (run_id,) = pushed()
    claim()
    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "conclude", lambda *args, **facts: 1 / 0)
        assert housekeeping.reclaim_dead(WORKER, crashed=True) == 0
    assert tick([], []).ended == [WORKER.id]
    assert housekeeping.reclaim_all_silent(tick([], []).ended) == 1
    assert places(run_id) == ["queued:default"]


def test_a_server_that_may_lose_jobs_is_told_of(caplog):
    client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        housekeeping.tell_of_server()
    finally:
        client().config_set("maxmemory-policy", "noeviction")
    assert "may evict jobs: its policy is allkeys-lru. Set maxmemory-policy noeviction" in caplog.text
    assert "keeps no append-only file" in caplog.text
