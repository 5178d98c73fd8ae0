"""An attempt is settled at most once, and its run is then in the one place that the verdict says."""

from __future__ import annotations

import pytest

from jobs.broker import claim as claims
from jobs.broker import journal, keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle, settle_and_claim
from jobs.errors import BrokerUnavailable
from tests.broker.messages import pushed
from tests.engine import OTHER, WORKER, claim, hash_of, places

WEEK = 7 * 86_400


def entries():
    return [entry.data for entry in journal.read(journal.FIRST, most=1000)]


@pytest.mark.parametrize(
    ("where", "status", "place", "seconds"),
    [
        ("end", "finished", [], None),
        ("gone", "finished", [], 60),
        ("failed", "failed", ["failed:default"], WEEK),
        ("later", "scheduled", ["scheduled:default"], None),
        ("front", "queued", ["queued:default"], None),
    ],
)
def test_a_settled_run_is_where_the_verdict_says_and_nowhere_else(where, status, place, seconds):
    (run_id,) = pushed()
    (taken,) = claim()
    assert settle(WORKER, [Settlement(taken, where, wait_seconds=60, entry={"n": 1})]) == [True]
    assert places(run_id) == place
    assert hash_of(run_id)["status"] == status
    assert claims.held_by(WORKER.id) == []
    assert entries() == [{"n": 1}]
    left = client().ttl(keys.job(run_id))
    assert left == -1 if seconds is None else seconds - 5 <= left <= seconds


def test_a_second_settle_of_a_token_is_refused_and_counted():
    (run_id,) = pushed()
    (taken,) = claim()
    first = Settlement(taken, "front", entry={"n": 1})
    assert settle(WORKER, [first]) == [True]
    assert settle(WORKER, [Settlement(taken, "failed", entry={"n": 2})]) == [False]
    assert places(run_id) == ["queued:default"]
    assert entries() == [{"n": 1}]
    assert client().hget(keys.COUNTERS, "stale_settles") == b"1"


def test_the_token_of_an_earlier_claim_settles_nothing():
    pushed()
    (old,) = claim()
    settle(WORKER, [Settlement(old, "front")])
    (new,) = claim(worker=OTHER)
    assert settle(WORKER, [Settlement(old, "end")]) == [False]
    assert settle(OTHER, [Settlement(new, "end")]) == [True]


def test_nobody_settles_what_another_worker_holds():
    pushed()
    (taken,) = claim()
    assert settle(OTHER, [Settlement(taken, "end")]) == [False]


def test_what_cannot_be_settled_does_not_hold_up_the_rest():
    pushed(3)
    taken = claim(3)
    settle(WORKER, [Settlement(taken[1], "end")])
    answers = settle(WORKER, [Settlement(one, "end", entry={"run": one.run_id}) for one in taken])
    assert answers == [True, False, True]
    assert len(entries()) == 2


def test_settling_and_claiming_take_one_round_trip():
    pushed(3)
    taken = claim(2)
    accepted, claimed = settle_and_claim(WORKER, [Settlement(one, "end") for one in taken], ["t1", "t2"], ["default"])
    assert accepted == [True, True]
    assert len(claimed) == 1


def test_a_handed_back_run_is_the_next_to_be_claimed():
    pushed(3)
    (taken,) = claim()
    settle(WORKER, [Settlement(taken, "front", fields={"attempts": 0})])
    (again,) = claim()
    assert (again.run_id, again.attempt) == (taken.run_id, 1)


def test_a_run_whose_hash_is_gone_is_let_go_and_not_made_anew():
    (run_id,) = pushed()
    (taken,) = claim()
    client().delete(keys.job(run_id))
    assert settle(WORKER, [Settlement(taken, "later", wait_seconds=1, entry={"n": 1})]) == [True]
    assert places(run_id) == []
    assert not client().exists(keys.job(run_id))
    assert entries() == [{"n": 1}]


@pytest.mark.parametrize(
    ("where", "key"),
    [("front", "rq:queue:default"), ("later", "rq:scheduled:default"), ("failed", "rq:failed:default")],
)
def test_a_place_of_the_wrong_type_does_not_hold_up_the_rest(where, key):
    pushed(2)
    taken = claim(2)
    client().delete(key)
    client().set(key, "x")
    assert settle(WORKER, [Settlement(one, where, wait_seconds=9, entry={"n": 1}) for one in taken]) == [True, True]
    assert claims.held_by(WORKER.id) == []
    assert len(entries()) == 2


def test_no_end_is_lost_while_the_journal_is_something_else():
    pushed()
    (taken,) = claim()
    ended = Settlement(taken, "end", entry={"n": 1})
    client().set(keys.JOURNAL, "x")
    with pytest.raises(BrokerUnavailable, match=keys.JOURNAL):
        settle(WORKER, [ended])
    assert [one.token for one in claims.held_by(WORKER.id)] == [taken.token]
    client().delete(keys.JOURNAL)
    assert settle(WORKER, [ended]) == [True]
    assert entries() == [{"n": 1}]


@pytest.mark.parametrize("damaged", ["x", {"stale_settles": "many"}])
def test_a_damaged_count_does_not_keep_the_answer(damaged):
    pushed()
    (taken,) = claim()
    client().set(keys.COUNTERS, damaged) if damaged == "x" else client().hset(keys.COUNTERS, mapping=damaged)
    gone = Settlement(taken, "end")
    assert settle(WORKER, [gone]) == [True]
    assert settle(WORKER, [gone]) == [False]


def test_a_run_handed_back_to_a_queue_that_is_no_list_waits_until_it_is_one():
    (run_id,) = pushed()
    (taken,) = claim()
    client().set(keys.queue("default"), "x")
    settle(WORKER, [Settlement(taken, "front")])
    client().delete(keys.queue("default"))
    tick([], ["default"])
    assert places(run_id) == ["queued:default"]


def test_the_failed_registry_keeps_the_latest_and_no_more_than_its_cap():
    client().zadd(keys.failed("default"), {f"old-{n}": n for n in range(10_000)})
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], "failed")])
    assert client().zcard(keys.failed("default")) == 10_000
    assert places(run_id) == ["failed:default"]
    assert client().zscore(keys.failed("default"), "old-0") is None


def test_a_lease_that_lasts_keeps_others_from_taking_back():
    pushed()
    (taken,) = claim()
    assert settle(WORKER, [Settlement(taken, "front")], only_ended=True) == [False]
    claims.end_lease(WORKER.id)
    assert settle(WORKER, [Settlement(taken, "front")], only_ended=True) == [True]


def test_of_two_that_take_back_only_one_does():
    pushed()
    (taken,) = claim()
    claims.end_lease(WORKER.id)
    assert settle(WORKER, [Settlement(taken, "front")], only_ended=True) == [True]
    assert settle(WORKER, [Settlement(taken, "front")], only_ended=True) == [False]
    assert client().llen(keys.queue("default")) == 1


def test_a_worker_comes_too_late_once_its_run_was_taken_back():
    (run_id,) = pushed()
    (taken,) = claim()
    claims.end_lease(WORKER.id)
    settle(WORKER, [Settlement(taken, "front")], only_ended=True)
    assert settle(WORKER, [Settlement(taken, "end", entry={"n": 1})]) == [False]
    assert places(run_id) == ["queued:default"]
    assert entries() == []


def test_forgetting_shrinks_ended_runs_to_a_marker_and_trims_the_journal():
    ended, waits = pushed(2)
    taken = claim(2)
    settle(WORKER, [Settlement(taken[0], "end", entry={"n": 1}), Settlement(taken[1], "front", entry={"n": 2})])
    position = journal.read(journal.FIRST, most=10)[-1].position
    journal.forget(position, [(ended, 0), (waits, 0)])
    assert hash_of(ended) == {"life": "0", "status": "finished"}
    assert 55 <= client().ttl(keys.job(ended)) <= 60
    assert places(waits) == ["queued:default"]
    assert hash_of(waits)["data"]
    assert journal_now().length == 0


def test_forgetting_leaves_a_later_life_alone():
    (run_id,) = pushed(life=1)
    settle(WORKER, [Settlement(claim()[0], "end")])
    journal.forget("1-0", [(run_id, 0)])
    assert hash_of(run_id)["data"]


def test_only_those_who_hold_a_run_tell_that_it_started():
    pushed()
    (taken,) = claim()
    journal.announce(OTHER, [(taken.token, {"n": 1})])
    journal.announce(WORKER, [(taken.token, {"n": 2}), ("no-such-token", {"n": 3})])
    assert entries() == [{"n": 2}]


def test_everything_that_stays_in_redis_ends_by_itself_or_is_bounded():
    ended, dead, gone = pushed(3)
    settle(WORKER, [Settlement(one, where) for one, where in zip(claim(3), ("end", "failed", "gone"), strict=True)])
    journal.forget("1-0", [(ended, 0)])
    claims.forget_worker(WORKER.id)
    bounded = {b"rq:queues", b"rq:failed:default", b"jobs:counters", b"jobs:epoch", b"jobs:enqueued"}
    endless = {key for key in client().keys("*") if client().ttl(key) == -1}
    assert endless <= bounded
    assert {client().ttl(keys.job(one)) > 0 for one in (ended, dead, gone)} == {True}


def test_one_token_settles_once_even_in_one_call():
    pushed()
    (taken,) = claim()
    assert settle(WORKER, [Settlement(taken, "front"), Settlement(taken, "front")]) == [True, False]
    assert client().llen(keys.queue("default")) == 1


def test_attempts_that_end_in_different_ways_are_settled_in_one_call():
    run_ids = pushed(4)
    endings = ["end", "later", "failed", "end"]
    taken = claim(4)
    settlements = [
        Settlement(one, where, wait_seconds=9 if where == "later" else 0, fields={"crashes": n} if n == 1 else {})
        for n, (one, where) in enumerate(zip(taken, endings, strict=True))
    ]
    assert settle(WORKER, settlements) == [True] * 4
    assert [hash_of(run_id)["status"] for run_id in run_ids] == ["finished", "scheduled", "failed", "finished"]
    assert [hash_of(run_id).get("crashes") for run_id in run_ids] == [None, "1", None, None]


def test_behind_a_recorder_that_lags_each_entry_counts():
    for _ in range(100):
        journal.wake()
    pushed(3)
    settle(WORKER, [Settlement(one, "end", entry={"run": one.run_id}) for one in claim(3)])
    assert journal_now().length == 103
    assert len(entries()) == 103
