"""Runs wait in lanes: they are found there, and taken out of there, as in a queue's list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs.broker import inspect, keys
from jobs.broker import places as broker_places
from jobs.broker.connection import client
from jobs.broker.places import Sought
from jobs.broker.push import push, withdraw
from tests.broker.messages import in_an_hour, message, pushed
from tests.engine import hash_of, places

LIMITS = "tests.sample.add\tat_once:tests.sample.add"
LANE = f"default\t{LIMITS}"


def sought(run_id: str) -> Sought:
    return Sought(run_id, "default", 0)


def test_a_limited_run_waits_in_its_lane_and_in_no_list():
    (run_id,) = pushed(limits=LIMITS)
    assert places(run_id) == [f"lane:{LANE}"]
    assert (hash_of(run_id)["lane"], hash_of(run_id)["status"]) == (LANE, "queued")


def test_runs_of_one_parcel_go_to_their_own_lanes():
    limits = [f"tests.sample.add\tat_once:a {customer}" for customer in (1, 2, 1)]
    messages = [message(limits=one) for one in limits]
    push(messages, at=datetime.now(UTC))
    assert [places(one.run_id) for one in messages] == [[f"lane:default\t{one}"] for one in limits]


def test_a_run_that_is_pushed_twice_stands_in_its_lane_once():
    one = message(limits=LIMITS)
    assert [push([one], at=datetime.now(UTC)) for _ in range(2)] == [1, 0]
    assert client().lrange(keys.lane(LANE), 0, -1) == [one.run_id.encode()]


def test_a_limited_run_that_is_due_later_waits_for_its_time_first():
    (run_id,) = pushed(limits=LIMITS, due_at=in_an_hour())
    assert places(run_id) == ["scheduled:default"]
    assert hash_of(run_id)["limits"] == LIMITS


@pytest.mark.parametrize("key", [keys.lane(LANE), keys.lanes("default"), keys.bell("default")])
def test_where_a_key_of_the_lane_is_in_use_the_run_waits_in_its_queue(key):
    client().hset(key, "x", "y")
    (run_id,) = pushed(limits=LIMITS)
    assert places(run_id) == ["queued:default"]


def test_a_run_is_withdrawn_from_its_lane():
    first, second = pushed(2, limits=LIMITS)
    assert withdraw(first, queue="default", life=0) == "withdrawn"
    assert places(first) == []
    assert places(second) == [f"lane:{LANE}"]


def test_a_run_is_put_aside_from_its_lane():
    (run_id,) = pushed(limits=LIMITS)
    assert withdraw(run_id, queue="default", life=0, aside_seconds=60) == "withdrawn"
    assert places(run_id) == ["scheduled:default"]
    assert "lane" not in hash_of(run_id)


def test_an_ended_run_is_removed_from_its_lane():
    first, second = pushed(2, limits=LIMITS)
    assert broker_places.remove([sought(first)]) == 1
    assert places(first) == []
    assert places(second) == [f"lane:{LANE}"]


def test_a_run_in_a_lane_is_in_a_place():
    (run_id,) = pushed(limits=LIMITS)
    assert broker_places.look([sought(run_id)]) == ["queued"]
    assert broker_places.search([sought(run_id)]) == ["queued"]
    assert run_id in broker_places.listed(["default"])
    client().delete(keys.lane(LANE))
    assert broker_places.search([sought(run_id)]) == ["lost"]
    assert run_id not in broker_places.listed(["default"])


def test_all_lanes_are_listed_the_long_ones_too(monkeypatch):
    monkeypatch.setattr(broker_places, "_IDS_AT_ONCE", 2)
    wanted = pushed(5, limits=LIMITS) + pushed(2, limits=LIMITS + "2") + pushed(1)
    found = broker_places.listed(["default"])
    assert all(run_id in found for run_id in wanted)


def test_a_lost_run_is_put_back_into_its_lane():
    one = message(limits=LIMITS)
    push([one], at=datetime.now(UTC))
    client().delete(keys.lane(LANE), keys.lanes("default"))
    assert broker_places.restore([one], crashes=[0], at=datetime.now(UTC), ended_too=False) == ["restored"]
    assert places(one.run_id) == [f"lane:{LANE}"]
    assert broker_places.search([sought(one.run_id)]) == ["queued"]


def test_a_lane_that_is_not_known_any_more_holds_nobody_for_ever():
    one, two = message(limits=LIMITS), message(limits=LIMITS)
    push([one, two], at=datetime.now(UTC))
    client().delete(keys.lanes("default"))
    assert broker_places.search([sought(one.run_id), sought(two.run_id)]) == ["lost", "lost"]
    assert broker_places.restore([one], crashes=[0], at=datetime.now(UTC), ended_too=False) == ["restored"]
    assert broker_places.search([sought(one.run_id), sought(two.run_id)]) == ["queued", "queued"]
    assert len(broker_places.listed(["default"])) == 2


def test_what_waits_in_lanes_counts_as_waiting():
    pushed(2, limits=LIMITS)
    (third,) = pushed(limits=LIMITS + "2")
    pushed(1)
    assert inspect.queues_now(["default", "low"])[0].depth == broker_places.depth(["default"]) == 4
    withdraw(third, queue="default", life=0)
    assert inspect.laned(["default", "low"]) == [2, 0]
    assert inspect.anything_queued(["default"])


@pytest.mark.parametrize("told", ["x", "-3", "9" * 5000])
def test_a_damaged_count_of_lanes_counts_as_none(told):
    client().hset(keys.LANED, "default", told)
    assert inspect.laned(["default"]) == [0]
    assert inspect.queues_now(["default"])[0].depth == 0


def test_a_count_of_lanes_whose_key_is_in_use_counts_as_none():
    client().set(keys.LANED, "x")
    assert inspect.laned(["default"]) == [0]
    assert inspect.queues_now(["default"])[0].depth == broker_places.depth(["default"]) == 0
