"""What claims do with the runs of a fused job, on a real server."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import at_once, fuses, lost, reconciling, recorder, runs
from jobs.broker import fuses as copies
from jobs.broker import inspect, keys, places
from jobs.broker.claim import held_by
from jobs.broker.connection import client
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle
from jobs.models import Fuse, JobRun, RunState
from jobs.worker import lifecycle
from tests.engine import WORKER, claim, hash_of, work_off
from tests.engine import make_job as make_job
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


def add(job="tests.sample.add", **options):
    return fuses.add(job, **{"reason": "it loops", "actor": "ann", **options})


def lift(fuse):
    fuses.lift(Fuse.objects.get(pk=fuse.pk), actor="ann")


def expire(fuse):
    Fuse.objects.filter(pk=fuse.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    fuses.tend()


def numbers(claims):
    """The first argument of each."""
    return [one.payload[0][0] for one in claims]


def settled(claims):
    settle(WORKER, [lifecycle.attempt(one, worker=WORKER.name) for one in claims])
    recorder.record_all()


def caught(fuse):
    return fuses.caught([fuse])[fuse.pk]


def test_the_runs_of_a_fused_job_are_caught_and_others_pass():
    fuse = add()
    sample.add.enqueue_many([(number, 0) for number in range(3)])
    sample.bystander.enqueue(0, 7)
    assert numbers(claim(10)) == [0]
    assert caught(fuse) == {"default": 3}
    assert claim(10) == []


def test_what_was_claimed_before_goes_on():
    sample.add.enqueue(1, 2)
    (before,) = claim()
    add()
    settled([before])
    assert JobRun.objects.get().state == RunState.SUCCEEDED


def test_a_name_that_only_begins_alike_is_not_caught(make_job):
    add()
    other = make_job(lambda number: number, name="tests.sample.add_more")
    other.enqueue(1)
    assert len(claim()) == 1


def test_a_caught_run_is_pending_in_a_place_and_may_be_cancelled():
    add()
    first, second = sample.add.enqueue_many([(1, 2), (3, 4)])
    claim()
    assert (hash_of(first.id)["status"], hash_of(first.id)["attempts"]) == ("queued", "0")
    rows = list(JobRun.objects.all())
    assert lost.find(rows, waiting=places.listed(["default"])) == []
    assert places.search([places.Sought(row.rq_id, row.queue, row.life) for row in rows]) == ["queued"] * 2
    runs.cancel(JobRun.objects.get(pk=first.id), actor="ann")
    assert JobRun.objects.get(pk=first.id).state == RunState.CANCELLED
    assert [depth.depth for depth in inspect.queues_now(["default"])] == [1]
    assert second.state == "queued"


def test_what_a_lifted_fuse_held_comes_first_and_in_its_order():
    fuse = add()
    sample.add.enqueue_many([(number, 0) for number in range(25)])
    claim(10)
    sample.bystander.enqueue(0, 99)
    sample.add.enqueue_many([(100, 0), (101, 0)])
    lift(fuse)
    taken = [one for _ in range(6) for one in claim(5)]
    assert numbers(taken) == [*range(25), 0, 100, 101]
    assert all(one.attempt == 1 for one in taken)
    assert "lane" not in hash_of(taken[0].run_id)
    fuses.tend()
    assert copies.published() == {}
    assert Fuse.objects.get().released_at is not None


def test_what_an_expired_fuse_held_starts_without_anybody():
    fuse = add(seconds=0.2)
    sample.add.enqueue(1, 2)
    assert claim() == []
    time.sleep(0.25)
    assert numbers(claim()) == [1]
    fuses.tend()
    fuse.refresh_from_db()
    assert fuse.ended_by == "expiry"


def test_who_lifts_a_fuse_may_die_before_redis_hears_of_it(monkeypatch):
    fuse = add()
    sample.add.enqueue(1, 2)
    claim()
    with monkeypatch.context() as dying:
        dying.setattr(copies, "publish", lambda entries: None)
        lift(fuse)
    assert claim() == []
    fuses.tend()
    assert numbers(claim()) == [1]


CALLS = [((17,), {}), ((), {"order_id": 17}), ((17, "de"), {}), ((17,), {"country": "fr"}), ((18,), {}), (("17",), {})]


@pytest.mark.parametrize(
    ("where", "passing"),
    [
        ({"order_id": 17}, [4, 5]),
        ({"order_id": "17"}, [0, 1, 2, 3, 4]),
        ({"country": "de"}, [3]),
        ({"country": "fr"}, [0, 1, 2, 4, 5]),
        ({"order_id": 17, "country": "de"}, [3, 4, 5]),
        ({"order_id": None}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_fuse_on_arguments_looks_at_position_name_and_default(make_job, where, passing):
    def ship(order_id, country="de"):
        pass

    job = make_job(ship)
    ids = [str(job.enqueue(*args, **kwargs).id) for args, kwargs in CALLS]
    add(job.name, where=where)
    assert [ids.index(one.run_id) for one in claim(10)] == passing


@pytest.mark.parametrize("value", [True, False, None, 0, 1.5, -3, 2**53 - 1, "", 'a "b" \\ é 中 😀', "null", "x" * 500])
def test_a_value_is_compared_exactly(value):
    ids = [str(run.id) for run in sample.pass_through.enqueue_many([(value,), (2**53,), ([value],), ({"a": value},)])]
    add("pass_through", where={"queue": value})
    assert [ids.index(one.run_id) for one in claim(10)] == [1, 2, 3]


def test_a_number_that_redis_cannot_tell_from_another_is_not_taken_for_it():
    sample.pass_through.enqueue_many([(2**53 + 1,), (2**60,)])
    add("pass_through", where={"queue": 2**53 - 1})
    assert len(claim(10)) == 2


def test_a_discarded_run_ends_without_starting():
    add(action="discard")
    run = sample.add.enqueue(1, 2)
    (one,) = claim()
    assert one.fuse == Fuse.objects.get().pk
    settled([one])
    row = JobRun.objects.get(pk=run.id)
    assert (row.state, row.attempts, row.result) == (RunState.DISCARDED, 0, None)
    told = row.history.get()
    assert (told.outcome, told.verdict, told.reason) == ("fused", "discard", f"discarded by fuse {one.fuse}")


def test_what_is_to_be_discarded_waits_until_others_had_their_turn():
    add(action="discard")
    sample.add.enqueue_many([(number, 0) for number in range(5)])
    sample.bystander.enqueue_many([(0, number) for number in range(3)])
    first = claim(4)
    assert [one.name for one in first] == ["tests.sample.bystander"] * 3 + ["tests.sample.add"]
    assert [one.fuse > 0 for one in claim(10)] == [True] * 4


def test_what_an_expired_fuse_was_to_discard_is_discarded_and_what_comes_later_is_not():
    fuse = add(action="discard")
    sample.add.enqueue_many([(number, 0) for number in range(3)])
    sample.bystander.enqueue(0, 0)
    claim(1)
    expire(fuse)
    sample.add.enqueue(9, 0)
    assert [(one.payload[0][0], one.fuse > 0) for one in claim(10)] == [(9, False), (0, True), (1, True), (2, True)]


def test_of_that_a_claim_needs_no_word_from_the_recording_process():
    fuse = add(action="discard")
    sample.add.enqueue_many([(number, 0) for number in range(3)])
    sample.bystander.enqueue(0, 0)
    claim(1)
    over = copies.entry("tests.sample.add", [], action="discard", per_second=0, expires_ms=1)
    copies.publish({fuse.pk: over})
    sample.add.enqueue(9, 0)
    assert [(one.payload[0][0], one.fuse > 0) for one in claim(10)] == [(9, False), (0, True), (1, True), (2, True)]


def test_what_a_lifted_fuse_was_to_discard_runs():
    fuse = add(action="discard")
    sample.add.enqueue(1, 2)
    sample.bystander.enqueue(0, 0)
    claim(1)
    lift(fuse)
    assert [(one.payload[0], one.fuse) for one in claim(10)] == [([1, 2], 0)]


def test_a_discarded_run_whose_worker_dies_is_discarded_by_the_next():
    add(action="discard")
    run = sample.add.enqueue(1, 2)
    claim()
    (left,) = held_by(WORKER.id)
    settle(WORKER, [Settlement(left, "front", fields={"attempts": left.attempt - 1})])
    settled(claim())
    assert JobRun.objects.get(pk=run.id).state == RunState.DISCARDED


def test_a_slow_fuse_lets_so_many_start_and_keeps_the_order():
    add(action="slow", rate="40/s")
    sample.add.enqueue_many([(number, 0) for number in range(60)])
    sample.bystander.enqueue(0, 7)
    started, times = [], []
    began = time.monotonic()
    while len(started) < 55 and time.monotonic() - began < 30:
        for one in claim(20):
            if one.name == "tests.sample.add":
                started.append(one.payload[0][0])
                times.append(time.monotonic() - began)
        time.sleep(0.01)
    assert started == list(range(55))
    # 40 at once, and 15 more no faster than they may.
    assert times[-1] > 0.3


def test_a_slow_fuse_lets_a_seconds_worth_start_at_once():
    add(action="slow", rate="10/s")
    sample.add.enqueue_many([(number, 0) for number in range(20)])
    assert len(claim(20)) == 10


def test_a_retry_and_a_run_that_comes_due_are_caught_too():
    fuse = add("fail")
    run = sample.fail.enqueue_in(0.01, 1)
    time.sleep(0.05)
    tick([], ["default"])
    assert claim() == []
    assert caught(fuse) == {"default": 1}
    lift(fuse)
    settled(claim())
    add("fail", where={"number": 1})
    time.sleep(0.1)
    tick([], ["default"])
    assert claim() == []
    assert JobRun.objects.get(pk=run.id).attempts == 1


def test_a_suspect_is_caught_and_comes_back_to_where_it_runs_alone():
    fuse = add("add")
    run = sample.add.enqueue(1, 2)
    client().lrem(keys.queue("default"), 0, str(run.id))
    client().rpush(keys.queue(keys.suspects("default")), str(run.id))
    alone = [keys.suspects("default")]
    assert claim(queues=alone) == []
    assert tick([], alone).suspects == 0
    lift(fuse)
    assert tick([], alone).suspects == 1
    (one,) = claim(queues=alone)
    assert (one.run_id, one.queue) == (str(run.id), "default")


def test_of_two_fuses_the_one_that_holds_wins():
    hold, discard = add(where={"left": 1}), add(action="discard")
    sample.add.enqueue_many([(1, 0), (2, 0)])
    assert [one.fuse for one in claim(10)] == [discard.pk]
    assert caught(hold) == {"default": 1}
    lift(hold)
    assert [one.fuse for one in claim(10)] == [discard.pk]


def test_a_wiped_redis_holds_what_it_held():
    fuse = add()
    sample.add.enqueue_many([(number, 0) for number in range(3)])
    claim()
    client().flushall()
    assert reconciling.reconcile("tests").complete
    assert claim(10) == []
    assert caught(fuse) == {"default": 3}
    lift(fuse)
    assert sorted(numbers(claim(10))) == [0, 1, 2]


SOUND = '"action":"hold","start":"[","until":9e15'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", '{"start":7}', '{"action":"explode","start":"[","until":9e15}'),
        *(f'{{{SOUND},"where":{where}}}' for where in ('"x"', "1", "null", "[7]", '[{"at":"x"}]')),
    ],
)
def test_a_damaged_fuse_catches_nothing_and_stops_nobody(text):
    client().hset(keys.FUSES, mapping={"1": text, "x": "y", "1:next": "z"})
    sample.add.enqueue(1, 2)
    assert len(claim()) == 1


@pytest.mark.parametrize("key", [keys.FUSES, keys.lane(keys.fuse_lane(1, "default")), keys.lanes("default")])
def test_a_key_of_another_type_stops_nobody(key):
    entry = copies.entry("tests.sample.add", [], action="hold", per_second=0, expires_ms=int(9e15))
    if key != keys.FUSES:
        copies.publish({1: entry})
    client().set(key, "mine")
    sample.add.enqueue(1, 2)
    assert len(claim()) == 1


def test_a_claim_catches_a_bounded_number_and_the_next_goes_on():
    fuse = add()
    sample.add.enqueue_many([(number, 0) for number in range(1200)])
    sample.urgent.enqueue(1)
    sample.bystander.using(queue="low").enqueue(0, 7)
    assert [one.name for one in claim(10, queues=["critical", "default"])] == ["tests.sample.urgent"]
    assert 500 <= caught(fuse)["default"] <= 510
    for _ in range(2):
        claim(10, queues=["critical", "default"])
    assert caught(fuse) == {"default": 1200}


def test_without_a_fuse_nothing_is_asked_of_redis_but_whether_there_is_one():
    sample.add.enqueue(1, 2)
    work_off()
    assert client().keys("jobs:fuses*") == []


def test_what_a_fuse_held_of_a_limited_job_keeps_to_its_limit(make_job):
    job = make_job(lambda number: None, limits=[at_once(1)])
    fuse = add(job.name)
    job.enqueue_many([(number,) for number in range(3)])
    assert claim(10) == []
    assert caught(fuse) == {"default": 3}
    lift(fuse)
    (first,) = claim(10)
    assert claim(10) == []
    settled([first])
    (second,) = claim(10)
    settled([second])
    (third,) = claim(10)
    assert numbers([first, second, third]) == [0, 1, 2]


def test_a_slow_fuse_on_a_limited_job_slows_each_run_once(make_job):
    job = make_job(lambda number: None, limits=[at_once(2)])
    fuse = add(job.name, action="slow", rate="1/s")
    job.enqueue_many([(number,) for number in range(3)])
    assert numbers(claim(10)) == [0]
    # A second later: it comes out of the fuse's lane, goes through its limit's, and meets the fuse there again.
    client().hset(keys.FUSES, f"{fuse.pk}:next", "0")
    assert numbers(claim(10)) == [1]
    assert caught(fuse) == {"default": 1}


def test_a_discarded_run_of_a_limited_job_takes_no_slot(make_job):
    job = make_job(lambda number: None, limits=[at_once(1)])
    add(job.name, action="discard")
    job.enqueue_many([(number,) for number in range(3)])
    claim(1)
    some = [*claim(10), *claim(10)]
    assert all(one.fuse for one in some)
    assert client().keys("jobs:slots:*") == []


@pytest.mark.parametrize("where", [5, "x", True])
def test_a_fuse_whose_conditions_are_damaged_catches_nothing_and_loses_nothing(where):
    damaged = {"start": "", "where": where, "action": "hold", "until": 9e15}
    client().hset(keys.FUSES, "7", json.dumps(damaged))
    sample.add.enqueue_many([(1, 2), (3, 4)])
    assert numbers(claim(2)) == [1, 3]


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000])
def test_a_number_that_no_fuse_can_have_is_none(number):
    client().hset(
        keys.FUSES, number, copies.entry("tests.sample.add", [], action="hold", per_second=0, expires_ms=9**15)
    )
    fuse = add("tests.sample.bystander")
    fuses.tend()
    sample.add.enqueue(1, 2)
    assert numbers(claim()) == [1]
    assert list(copies.published()) == [fuse.pk]
