"""Runs of a process that died wait apart to be run alone, and still belong to their queues."""

from __future__ import annotations

from jobs.broker import claim as claims
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.push import withdraw
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle
from tests.broker.messages import pushed
from tests.engine import WORKER, claim, hash_of, places


def a_suspect(queue: str = "low", *, where: str = "front", wait_seconds: float = 0) -> str:
    (run_id,) = pushed(queue=queue)
    settle(WORKER, [Settlement(claim()[0], where, wait_seconds=wait_seconds, queue=keys.suspects("low"))])
    return run_id


def test_a_suspect_waits_apart_where_no_worker_of_a_queue_takes_it():
    run_id = a_suspect()
    assert places(run_id) == ["queued:jobs.suspects.low"]
    assert claim() == []
    assert tick([], [keys.suspects("low")]).suspects == 1
    assert tick([], [keys.suspects("default")]).suspects == 0


def test_a_suspect_that_is_claimed_is_started_in_its_own_queue():
    run_id = a_suspect()
    (taken,) = claim(queues=[keys.suspects("low")])
    assert (taken.run_id, taken.queue) == (run_id, "low")
    assert places(run_id) == ["started:low"]
    assert [one.queue for one in claims.held_by(WORKER.id)] == ["low"]


def test_a_suspect_that_is_handed_back_returns_to_its_own_queue():
    run_id = a_suspect()
    settle(WORKER, [Settlement(claim(queues=[keys.suspects("low")])[0], "front")])
    assert places(run_id) == ["queued:low"]


def test_a_suspect_that_dies_is_among_the_failed_of_its_own_queue():
    run_id = a_suspect()
    settle(WORKER, [Settlement(claim(queues=[keys.suspects("low")])[0], "failed")])
    assert places(run_id) == ["failed:low"]


def test_a_suspect_that_is_due_later_comes_back_as_one():
    run_id = a_suspect(where="later", wait_seconds=-1)
    assert places(run_id) == ["scheduled:jobs.suspects.low"]
    tick([], [keys.suspects("low")])
    assert places(run_id) == ["queued:jobs.suspects.low"]


def test_a_suspect_can_be_withdrawn():
    for run_id in (a_suspect(), a_suspect(where="later", wait_seconds=60)):
        assert withdraw(run_id, queue="low", life=0) == "withdrawn"
        assert places(run_id) == []


def test_a_suspect_whose_hash_is_gone_is_told_to_the_journal():
    run_id = a_suspect()
    client().delete(keys.job(run_id))
    assert claim(queues=[keys.suspects("low")]) == []
    assert client().xlen(keys.JOURNAL) == 1


def test_a_started_registry_of_another_type_does_not_lose_a_suspect():
    run_id = a_suspect()
    client().set("rq:wip:low", "x")
    (taken,) = claim(queues=[keys.suspects("low")])
    assert settle(WORKER, [Settlement(taken, "front", queue=keys.suspects("low"))]) == [True]
    assert places(run_id) == ["queued:jobs.suspects.low"]
    assert hash_of(run_id)["status"] == "queued"
