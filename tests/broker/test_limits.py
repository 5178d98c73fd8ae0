"""Runs over a limit wait in their lanes; nothing else waits for them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from jobs import at_once, per_window, registry
from jobs.broker import claim as claims
from jobs.broker import inspect, keys
from jobs.broker import places as broker_places
from jobs.broker.connection import client
from jobs.broker.places import Sought
from jobs.broker.push import withdraw
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle
from jobs.drafts import limits_of
from tests.broker.messages import a_moment_ago, message, pushed
from tests.engine import OTHER, WORKER, claim, hash_of, make_job, places

__all__ = ["make_job"]


@pytest.fixture
def limited(make_job):
    """Push runs of a job with these limits for a customer: `limited(at_once(2), …)(customer=1, count=3)`."""

    def make(*limits, name="tests.limited"):
        job = make_job(lambda customer=0: None, name, limits=list(limits))

        def push_some(customer=0, count=1, **facts):
            return pushed(count, limits=limits_of(job, {"customer": customer}), **facts)

        return push_some

    return make


def ids(claimed):
    return [one.run_id for one in claimed]


def end(*claimed, where="end", **facts):
    assert settle(WORKER, [Settlement(one, where, **facts) for one in claimed]) == [True] * len(claimed)


def test_no_more_than_so_many_are_held_at_once(limited):
    wanted = limited(at_once(2))(count=5)
    first = claim(10)
    assert ids(first) == wanted[:2]
    assert claim(10, worker=OTHER) == []
    end(first[0])
    assert ids(claim(10)) == wanted[2:3]


def test_waiting_burns_no_attempt(limited):
    wanted = limited(at_once(1))(count=2)
    first = claim(5)
    assert claim(5) == []
    assert hash_of(wanted[1])["attempts"] == "0"
    end(*first)
    assert [one.attempt for one in claim()] == [1]


def test_each_value_of_the_key_has_a_count_of_its_own(limited):
    push_some = limited(at_once(1, key="customer"))
    first, second = push_some(1, 2), push_some(2, 2)
    assert set(ids(claim(10))) == {first[0], second[0]}


def test_customers_take_turns(limited):
    push_some = limited(at_once(50, key="customer"))
    many, one, two = push_some(1, 20), push_some(2, 1), push_some(3, 2)
    assert ids(claim(3)) == [many[0], one[0], two[0]]
    assert ids(claim(3)) == [many[1], two[1], many[2]]


def test_a_customer_that_waits_for_slots_does_not_delay_another(limited):
    push_some = limited(at_once(1, key="customer"))
    push_some(1, 1000)
    claim(5)
    (run_id,) = push_some(2)
    assert ids(claim(5)) == [run_id]


def test_runs_without_limits_take_turns_with_lanes(limited):
    in_lane = limited(at_once(50))(count=10)
    plain = pushed(10)
    taken = [ids(claim())[0] for _ in range(6)]
    assert sorted(taken) == sorted([*in_lane[:3], *plain[:3]])
    assert len(set(ids(claim(6))) & set(plain)) == 3
    assert len(claim(20)) == 8


def test_runs_without_limits_do_not_wait_for_lanes(limited):
    limited(at_once(1))(count=100)
    plain = pushed(5)
    assert set(plain) < set(ids(claim(6)))


def test_a_name_makes_jobs_share_a_limit(limited):
    first, second = limited(at_once(1, name="api"), name="tests.a"), limited(at_once(1, name="api"), name="tests.b")
    wanted = [*first(), *second()]
    (taken,) = claim(5)
    end(taken)
    assert [taken.run_id, *ids(claim(5))] == wanted


def test_a_slot_that_a_blocked_lane_cannot_use_goes_to_the_next(limited):
    push_some = limited(at_once(2, name="api"), at_once(1, key="customer"))
    first, second = push_some(1, 3), push_some(2, 1)
    taken = claim(5)
    assert ids(taken) == [first[0], second[0]]
    # It comes behind the first customer's, which is woken for the slot and waits for another.
    third = push_some(3, 1)
    assert claim(5) == []
    end(taken[1])
    assert ids(claim(5)) == third


def test_a_slot_for_which_a_run_was_woken_that_has_ended_goes_to_the_next(limited):
    push_some = limited(at_once(1, name="api"), at_once(5, key="customer"))
    push_some(1)
    taken = claim(5)
    (gone,), third = push_some(2), push_some(3)
    assert claim(5) == []
    client().hset(keys.job(gone), "status", "canceled")
    end(*taken)
    assert ids(claim(5)) == third


@pytest.mark.parametrize("where", ["end", "gone", "failed", "later", "front", "unbegun"])
def test_however_an_attempt_ends_its_slot_is_free(limited, where):
    wanted = limited(at_once(1))(count=2)
    end(*claim(), where=where, wait_seconds=60)
    assert len(claim(5)) == 1
    assert client().hlen("jobs:slots:at_once:tests.limited") == 1
    assert places(wanted[1]) in (["started:default"], ["lane:" + hash_of(wanted[1]).get("lane", "")])


def test_a_run_that_is_handed_back_is_the_first_of_its_lane_again(limited):
    wanted = limited(at_once(1))(count=3)
    end(*claim(), where="front")
    assert ids(claim()) == wanted[:1]


def test_a_run_that_failed_waits_for_its_time_and_then_in_its_lane(limited):
    (run_id,) = limited(at_once(1))()
    end(*claim(), where="later", wait_seconds=-1)
    assert places(run_id) == ["scheduled:default"]
    tick([], ["default"])
    assert places(run_id) == ["lane:default\ttests.limited\tat_once:tests.limited"]
    assert ids(claim()) == [run_id]
    assert "lane" not in hash_of(run_id)


def test_what_a_dead_worker_held_frees_its_slots(limited):
    wanted = limited(at_once(2))(count=3)
    claim(5, worker=OTHER)
    claims.end_lease(OTHER.id)
    held = claims.held_by(OTHER.id)
    assert settle(OTHER, [Settlement(one, "front") for one in held], only_ended=True) == [True, True]
    assert sorted(ids(claim(5))) == sorted(wanted[:2])


def test_a_run_that_is_removed_frees_its_slot(limited):
    wanted = limited(at_once(1))(count=2)
    claim()
    assert broker_places.remove([Sought(wanted[0], "default", 0)]) == 1
    assert ids(claim()) == wanted[1:]


def test_a_run_of_a_later_life_takes_the_slot_of_the_earlier_one(limited):
    push_some = limited(at_once(1))
    (run_id,) = push_some()
    taken = claim()
    later = message(run_id, life=1, limits=hash_of(run_id)["limits"])
    assert broker_places.restore([later], crashes=[0], at=datetime.now(UTC), ended_too=False) == ["restored"]
    assert ids(claim()) == [run_id]
    assert settle(WORKER, [Settlement(taken[0], "end")]) == [False]


def test_a_withdrawn_run_is_passed_by(limited):
    wanted = limited(at_once(1))(count=3)
    first = claim()
    withdraw(wanted[1], queue="default", life=0)
    end(*first)
    assert ids(claim()) == wanted[2:]


def test_a_slot_whose_token_nobody_holds_is_freed(limited):
    wanted = limited(at_once(1))(count=2)
    claim()
    assert claim() == []
    client().delete(keys.held(WORKER.id))
    client().zadd("jobs:timers", {"at_once:tests.limited": 0})
    tick([], ["default"])
    assert ids(claim()) == wanted[1:]


def test_a_lane_that_was_woken_where_nobody_works_keeps_nobody_from_the_slot(limited):
    push_some = limited(at_once(1, name="api"))
    push_some()
    low, here = push_some(queue="low"), push_some()
    first = claim(1, queues=["default"])
    assert claim(5, queues=["low"]) == claim(5, queues=["default"]) == []
    end(*first)
    assert claim(5, queues=["default"]) == []
    client().zadd("jobs:timers", {"at_once:api": 0})
    tick([], ["default", "low"])
    assert ids(claim(5, queues=["default"])) == here
    assert places(low[0]) != []


def test_a_lane_that_was_forgotten_is_found_again(limited):
    wanted = limited(at_once(1))(count=2)
    first = claim()
    claim()
    client().delete("jobs:waiters:at_once:tests.limited", "jobs:timers")
    end(*first)
    assert claim() == []
    tick([], ["default"])
    assert ids(claim()) == wanted[1:]


def test_a_lane_that_waits_for_a_window_which_nobody_looks_at_any_more_is_found_again(limited):
    wanted = limited(per_window(1, seconds=0.05))(count=2)
    first = claim()
    assert claim() == []
    client().delete("jobs:timers")
    taken = _claim_until(lambda claimed: tick([], ["default"]) and claimed)
    assert ids([*first, *taken]) == wanted


def test_no_more_than_so_many_start_in_a_window(limited):
    wanted = limited(per_window(2, seconds=0.3))(count=5)
    began = time.monotonic()
    first = claim(5)
    assert ids(first) == wanted[:2]
    end(*first)
    assert claim(5) == []
    taken = _claim_until(lambda claimed: len(claimed) >= 3)
    assert ids(taken) == wanted[2:]
    assert time.monotonic() - began >= 0.6


def test_a_window_has_room_again_without_a_supervisor_and_with_one(limited):
    limited(per_window(1, seconds=0.2))(count=2)
    claim()
    assert claim() == []
    assert 0 < tick([], ["default"]).next_due_seconds < 0.3
    _claim_until(bool)


def test_what_nobody_has_begun_gives_back_its_place_in_the_window(limited):
    wanted = limited(per_window(2, seconds=3600))(count=3)
    end(*claim(5), where="unbegun", fields={"attempts": 0})
    assert claim(5, queues=["low"]) == []
    assert set(ids(claim(5))) == set(wanted[:2])


def test_what_was_begun_and_handed_back_counts_in_its_window(limited):
    limited(per_window(2, seconds=3600))(count=3)
    end(*claim(5), where="front")
    assert claim(5) == []


def test_a_deploy_that_changes_the_numbers_changes_them_at_once(limited):
    wanted = limited(at_once(1))(count=9)
    claim(5)
    limited(at_once(3))
    client().zadd("jobs:timers", {"at_once:tests.limited": 0})
    assert ids(claim(5)) == wanted[1:3]
    limited()
    client().zadd("jobs:timers", {"at_once:tests.limited": 0})
    tick([], ["default"])
    assert ids(claim(20)) == wanted[3:]


def test_a_lower_number_is_reached_as_runs_end(limited):
    limited(at_once(3))(count=9)
    taken = claim(5)
    limited(at_once(1))
    end(taken[0])
    assert claim(5) == []
    end(*taken[1:])
    assert len(claim(5)) == 1


def test_what_comes_to_the_queue_by_another_way_is_moved_to_its_lane(limited):
    wanted = limited(at_once(1))(count=3)
    client().delete(keys.lane(hash_of(wanted[0])["lane"]), keys.lanes("default"))
    client().rpush(keys.queue("default"), *wanted)
    assert ids(claim(5)) == wanted[:1]
    assert places(wanted[1])[0].startswith("lane:default\t")


def test_where_a_lane_cannot_be_made_the_limit_holds_all_the_same(limited):
    push_some = limited(at_once(1))
    client().set(keys.lanes("default"), "x")
    wanted = push_some(count=2)
    assert ids(claim(5)) == wanted[:1]
    assert places(wanted[1]) == ["scheduled:default"]


def test_a_limit_whose_count_cannot_be_kept_lets_nothing_start(limited):
    limited(at_once(1))(count=2)
    client().set("jobs:slots:at_once:tests.limited", "x")
    assert claim(5) == []


def test_a_suspect_obeys_the_limit_of_its_job_too(limited):
    wanted = limited(at_once(1))(count=2)
    end(*claim(), where="front", queue=keys.suspects("default"))
    (second,) = claim()
    assert second.run_id == wanted[1]
    assert claim(queues=[keys.suspects("default")]) == []
    assert tick([], [keys.suspects("default")]).suspects == 0
    end(second)
    assert tick([], [keys.suspects("default")]).suspects == 1
    (first,) = claim(queues=[keys.suspects("default")])
    assert (first.run_id, first.queue) == (wanted[0], "default")
    assert [one.queue for one in claims.held_by(WORKER.id)] == ["default"]
    end(first)
    assert client().keys("jobs:slots:*") == []


def test_what_is_parked_could_not_start_now(limited):
    push_some = limited(at_once(1))
    assert not inspect.anything_queued(["default"])
    push_some(count=2)
    assert inspect.anything_queued(["default"])
    first = claim(5)
    assert not inspect.anything_queued(["default"])
    assert inspect.queues_now(["default"])[0].depth == 1
    end(*first)
    assert inspect.anything_queued(["default"])


def test_one_call_looks_at_no_more_than_some_lanes(limited):
    push_some = limited(at_once(1, name="api"), at_once(9, key="customer"))
    first = push_some(0)
    assert ids(claim()) == first
    for customer in range(1, 251):
        push_some(customer)
    assert claim(5) == []
    assert inspect.anything_queued(["default"])
    assert claim(5) == []
    assert not inspect.anything_queued(["default"])


def test_nothing_is_left_when_all_have_ended(limited):
    push_some = limited(at_once(2, key="customer"), per_window(100, seconds=60))
    for customer in range(3):
        push_some(customer, 3)
    while claimed := claim(10):
        end(*claimed)
    left = {key.decode() for key in client().keys("jobs:*")}
    kinds = {key.split(":")[1] for key in left}
    assert kinds <= {"epoch", "leases", "window", "turns", "bell", "timers", "waiters", "enqueued"}
    assert inspect.laned(["default"]) == [0]


def _delete_lanes(run_id):
    client().delete(keys.lanes("default"))
    assert claim(1) == []


@pytest.mark.parametrize(
    "take", [lambda _: claim(1), lambda run_id: withdraw(run_id, queue="default", life=0), _delete_lanes]
)
def test_when_the_last_run_is_taken_nobody_is_called_for_it_again(limited, take):
    (run_id,) = limited(at_once(2))()
    assert client().exists(keys.bell("default"))
    take(run_id)
    # Who waits for this key would ask again and again, and who works until all is done would never end.
    assert not client().exists(keys.bell("default"))
    assert not inspect.anything_queued(["default"])


def test_claims_without_limits_are_told_no_numbers(limited, monkeypatch):
    monkeypatch.setattr(registry, "_jobs", {})
    registry.limit_numbers.cache_clear()
    assert registry.limit_numbers() == ""
    limited(at_once(2), per_window(5, seconds=2))
    assert registry.limit_numbers() == '{"at_once:tests.limited":[2,0],"per_window:tests.limited":[5,2000000]}'


def test_a_run_that_is_due_soon_keeps_its_lane(limited):
    (run_id,) = limited(at_once(1))(due_at=a_moment_ago())
    assert ids(claim()) == [run_id]


def _claim_until(enough, *, most_seconds=10.0):
    """What is claimed and ended meanwhile."""
    taken, deadline = [], time.monotonic() + most_seconds
    while not enough(taken):
        assert time.monotonic() < deadline
        claimed = claim(5)
        end(*claimed)
        taken += claimed
        time.sleep(0.005)
    return taken


@pytest.mark.parametrize("stranger", ["garbage", "low\tt\tat_once:x", "\t", ""])
def test_a_lane_of_another_queue_takes_nobodys_turn(limited, stranger):
    wanted = limited(at_once(2))(count=2)
    client().zadd(keys.lanes("default"), {stranger: 1})
    assert [ids(claim(1)) for _ in "ab"] == [[one] for one in wanted]
    assert not client().exists(keys.lanes("default"), keys.bell("default"))


def test_a_window_whose_starts_are_to_come_does_not_wait_for_them(limited):
    wanted = limited(per_window(1, seconds=60))()
    in_an_hour = (time.time() + 3600) * 1_000_000
    client().zadd(keys.window("per_window:tests.limited"), {"before the clock was set back": in_an_hour})
    assert ids(claim()) == wanted


def test_who_waits_is_not_woken_when_the_last_run_took_the_last_room(limited):
    wanted = limited(at_once(2))(count=2)
    assert [ids(claim(1)) for _ in "ab"] == [[one] for one in wanted]
    assert not inspect.anything_queued(["default"])


@pytest.mark.parametrize("others", [None, "x"])
def test_a_bell_without_lanes_is_silent_after_a_tick(limited, others):
    limited(at_once(2))(count=2)
    client().delete(keys.lanes("default"))
    if others:
        client().set(keys.lanes("default"), others)
    assert claim(1) == []
    tick([WORKER.id], ["default"])
    assert not inspect.anything_queued(["default"])
