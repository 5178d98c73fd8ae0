"""A run is put where it waits once, however often it is pushed; and taken back only before it starts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.push import forget_failed, push, withdraw
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle
from jobs.errors import BrokerUnavailable
from tests.broker.messages import a_moment_ago, in_an_hour, message, pushed
from tests.engine import WORKER, claim, hash_of, places


def push_now(*messages):
    return push(messages, at=datetime.now(UTC))


def test_pushing_twice_is_pushing_once():
    one = message()
    assert [push_now(one), push_now(one)] == [1, 0]
    assert places(one.run_id) == ["queued:default"]


@pytest.mark.parametrize("where", ["end", "gone", "failed", "later", "front"])
def test_a_run_that_was_worked_on_is_not_pushed_again(where):
    one = message()
    push_now(one)
    settle(WORKER, [Settlement(claim()[0], where, wait_seconds=60)])
    before = places(one.run_id)
    assert push_now(one) == 0
    assert places(one.run_id) == before


def test_a_run_that_is_started_is_not_pushed_again():
    one = message()
    push_now(one)
    claim()
    assert push_now(one) == 0
    assert places(one.run_id) == ["started:default"]


def test_a_later_life_takes_the_place_of_an_ended_one():
    one = message()
    push_now(one)
    settle(WORKER, [Settlement(claim()[0], "failed", fields={"exc_info": "trace"})])
    assert push_now(message(one.run_id, life=1)) == 1
    assert places(one.run_id) == ["queued:default"]
    assert "exc_info" not in hash_of(one.run_id)
    assert client().ttl(keys.job(one.run_id)) == -1
    assert claim()[0].attempt == 1


def test_an_earlier_life_is_not_pushed_over_a_later_one():
    one = message(life=3)
    push_now(one)
    assert push_now(message(one.run_id, life=2)) == 0
    assert hash_of(one.run_id)["life"] == "3"


def test_a_due_time_in_the_future_waits_in_the_scheduled_set():
    one = message(due_at=in_an_hour())
    push_now(one)
    assert places(one.run_id) == ["scheduled:default"]
    assert hash_of(one.run_id)["status"] == "scheduled"
    assert client().zscore(keys.scheduled("default"), one.run_id) == pytest.approx(one.due_at.timestamp(), abs=0.002)


def test_a_due_time_in_the_past_is_now():
    one = message(due_at=a_moment_ago())
    push_now(one)
    assert places(one.run_id) == ["queued:default"]


def test_a_thousand_are_pushed_in_order():
    messages = [message() for _ in range(1000)]
    assert push_now(*messages) == 1000
    assert client().lrange(keys.queue("default"), 0, -1) == [one.run_id.encode() for one in messages]


def test_a_queue_that_is_no_list_is_named_and_the_others_get_their_runs():
    client().set(keys.queue("low"), "x")
    blocked, fine = message(queue="low"), message(queue="default")
    with pytest.raises(BrokerUnavailable, match="rq:queue:low"):
        push_now(blocked, fine)
    assert places(fine.run_id) == ["queued:default"]
    assert not client().exists(keys.job(blocked.run_id))


def test_no_run_is_lost_while_the_list_of_queues_is_something_else():
    client().set(keys.QUEUES, "x")
    one = message()
    with pytest.raises(BrokerUnavailable, match=keys.QUEUES):
        push_now(one)
    assert not client().exists(keys.job(one.run_id))
    client().delete(keys.QUEUES)
    assert push_now(one) == 1


def test_a_key_of_another_type_in_the_runs_place_is_left_alone():
    one = message()
    client().set(keys.job(one.run_id), "x")
    assert push_now(one) == 0
    assert client().get(keys.job(one.run_id)) == b"x"


@pytest.mark.parametrize("facts", [{}, {"due_at": in_an_hour()}])
def test_a_run_that_waits_is_withdrawn(facts):
    (run_id,) = pushed(**facts)
    assert withdraw(run_id, queue="default", life=0) == "withdrawn"
    assert places(run_id) == []
    assert claim() == []


@pytest.mark.parametrize("key", ["rq:failed:default", "rq:scheduled:default", "rq:queue:jobs.suspects.default"])
def test_a_run_is_withdrawn_whatever_the_other_places_are(key):
    (run_id,) = pushed()
    client().set(key, "x")
    assert withdraw(run_id, queue="default", life=0) == "withdrawn"
    assert places(run_id) == []
    assert hash_of(run_id)["status"] == "canceled"


def test_a_withdrawn_run_is_not_pushed_by_one_who_comes_late():
    one = message()
    push_now(one)
    withdraw(one.run_id, queue="default", life=0)
    assert push_now(one) == 0
    assert 55 <= client().ttl(keys.job(one.run_id)) <= 60


def test_a_run_that_was_not_pushed_yet_is_withdrawn_beforehand():
    one = message()
    assert withdraw(one.run_id, queue="default", life=0) == "absent"
    assert push_now(one) == 0


def test_a_started_run_is_not_withdrawn():
    (run_id,) = pushed()
    claim()
    assert withdraw(run_id, queue="default", life=0) == "started"
    assert places(run_id) == ["started:default"]


@pytest.mark.parametrize("where", ["end", "gone", "failed"])
def test_an_ended_run_is_not_withdrawn(where):
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], where)])
    assert withdraw(run_id, queue="default", life=0) == "ended"


def test_the_end_of_an_earlier_life_does_not_keep_a_later_one_from_being_withdrawn():
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], "failed")])
    assert withdraw(run_id, queue="default", life=1) == "absent"
    assert places(run_id) == []
    assert push_now(message(run_id, life=1)) == 0


def test_a_discarded_run_leaves_the_failed_registry():
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], "failed")])
    forget_failed([(run_id, "default")])
    assert places(run_id) == []
    assert not client().exists(keys.job(run_id))


def test_what_is_due_moves_to_its_queue_and_the_rest_stays():
    due, later = message(due_at=in_an_hour()), message(due_at=in_an_hour())
    push_now(due, later)
    client().zadd(keys.scheduled("default"), {due.run_id: 1})
    answer = tick([], ["default"])
    assert places(due.run_id) == ["queued:default"]
    assert hash_of(due.run_id)["status"] == "queued"
    assert places(later.run_id) == ["scheduled:default"]
    assert 3590 < answer.next_due_seconds <= 3600


def test_what_is_due_goes_behind_what_waits_already():
    late = message(due_at=in_an_hour())
    push_now(late)
    waiting = pushed(2)
    client().zadd(keys.scheduled("default"), {late.run_id: 1})
    tick([], ["default"])
    assert [one.run_id for one in claim(3)] == [*waiting, late.run_id]


def test_a_herd_that_is_due_at_once_is_moved_in_parts():
    client().zadd(keys.scheduled("default"), {f"run-{n}": 1 for n in range(700)})
    assert tick([], ["default"]).next_due_seconds == 0
    assert client().llen(keys.queue("default")) == 500
    assert tick([], ["default"]).next_due_seconds is None
    assert client().llen(keys.queue("default")) == 700


def test_a_herd_in_one_queue_does_not_keep_another_queues_run_from_its_time():
    client().zadd(keys.scheduled("critical"), {f"run-{n}": 1 for n in range(5_000)})
    client().zadd(keys.scheduled("low"), {"late": 2})
    tick([], ["critical", "default", "low"])
    assert client().lrange(keys.queue("low"), 0, -1) == [b"late"]
    assert client().llen(keys.queue("critical")) == 499


def test_herds_in_several_queues_take_turns():
    for queue in ("critical", "default", "low"):
        client().zadd(keys.scheduled(queue), {f"{queue}-{n}": 1 for n in range(300)})
    tick([], ["critical", "default", "low", "mailers"])
    assert [client().llen(keys.queue(queue)) for queue in ("critical", "default", "low")] == [250, 125, 125]
    tick([], ["critical", "default", "low", "mailers"])
    assert [client().llen(keys.queue(queue)) for queue in ("critical", "default", "low")] == [300, 300, 300]


def test_a_queue_that_is_no_list_keeps_what_is_due_and_does_not_stop_the_others():
    blocked, fine = message(queue="critical", due_at=in_an_hour()), message(queue="low", due_at=in_an_hour())
    push_now(blocked, fine)
    for one in (blocked, fine):
        client().zadd(keys.scheduled(one.queue), {one.run_id: 1})
    client().set(keys.queue("critical"), "x")
    tick([], ["critical", "low"])
    assert places(fine.run_id) == ["queued:low"]
    assert client().zscore(keys.scheduled("critical"), blocked.run_id) == 1


def test_ended_leases_are_told_and_living_ones_renewed():
    pushed()
    claim()
    assert tick([], []).ended == []
    client().zadd(keys.LEASES, {WORKER.id: 1})
    assert tick([], []).ended == [WORKER.id]
    assert tick([WORKER.id], []).ended == []


def test_a_worker_without_a_lease_is_not_given_one_by_a_renewal():
    tick(["nobody/1"], [])
    assert client().zscore(keys.LEASES, "nobody/1") is None


def test_a_lease_whose_name_is_no_text_is_dropped_and_told(caplog):
    client().zadd(keys.LEASES, {b"\xff\xfe": 1, "ghost": 1})
    assert tick([], []).ended == ["ghost"]
    assert client().zrange(keys.LEASES, 0, -1) == [b"ghost"]
    assert "cannot be read" in caplog.text


def test_leases_that_nobody_could_renew_last_once_more():
    pushed()
    claim()
    client().zadd(keys.LEASES, {WORKER.id: 1, "gone": 0})
    client().set("jobs:ticked", 1)
    assert tick([], []).ended == ["gone"]
    client().zadd(keys.LEASES, {WORKER.id: 1})
    assert tick([], []).ended == ["gone", WORKER.id]
