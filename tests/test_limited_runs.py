"""Limited runs from their rows to their lanes and back."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from jobs import at_once, conf, dead, ledger, lost, per_window, recorder, runs
from jobs.broker import keys, places
from jobs.broker.connection import client
from jobs.broker.push import withdraw
from jobs.broker.schedule import tick
from jobs.broker.waiting import Waiting
from jobs.checks import check_settings
from jobs.models import JobRun
from jobs.relay import relay
from jobs.testing import drain, inline
from tests import engine
from tests.engine import attempt_next, claim, hash_of, make_job, work_off

pytestmark = pytest.mark.django_db(transaction=True)
__all__ = ["make_job"]


def _sync(customer: int, kind: str = "full") -> str:
    return f"{customer} {kind}"


def _fail(customer: int) -> None:
    raise ValueError("always")


@pytest.fixture
def sync(make_job):
    return make_job(_sync, "tests.sync", limits=[at_once(1, key="customer")])


def lane(customer: int, queue: str = "default") -> list[str]:
    return [f"lane:{queue}\ttests.sync\tat_once:tests.sync[customer] {customer}"]


def test_an_enqueued_run_waits_in_the_lane_of_its_arguments(sync):
    assert engine.places(sync.enqueue(7).id) == lane(7)
    assert engine.places(sync.enqueue(customer=8).id) == lane(8)
    assert engine.places(sync.using(queue="low").enqueue(7).id) == lane(7, "low")
    many = sync.enqueue_many([(1,), (2,), {"customer": 1}])
    assert [engine.places(run.id) for run in many] == [lane(1), lane(2), lane(1)]


def test_a_default_counts_as_if_it_had_been_said(make_job):
    job = make_job(_sync, "tests.sync", limits=[at_once(1, key=["customer", "kind"])])
    assert engine.places(job.enqueue(7).id) == engine.places(job.enqueue(7, "full").id)


def test_what_the_relay_pushes_goes_to_its_lane(sync):
    run = sync.enqueue(7)
    client().flushdb()
    assert relay(min_age=None) == 1
    assert engine.places(run.id) == lane(7)


def test_what_was_lost_goes_back_to_its_lane(sync):
    first, second = sync.enqueue_many([(7,), (7,)])
    (taken,) = claim(5)
    assert taken.run_id == str(first.id)
    client().delete(*[key for key in client().keys("*") if key != b"jobs:epoch"])
    rows = list(JobRun.objects.all())
    listed = places.listed(conf.queue_names())
    assert {place for _, place in lost.find(rows, waiting=listed)} == {"lost"}
    assert len(lost.restore([row.pk for row in rows])) == 2
    assert engine.places(first.id) == engine.places(second.id) == lane(7)
    assert lost.find(rows, waiting=places.listed(conf.queue_names())) == []
    assert len(claim(5)) == 1


def test_the_ledger_knows_lanes(sync):
    sync.enqueue_many([(7,), (7,), (8,)])
    relay(min_age=None)
    assert list(ledger.unaccounted(ledger.Range())) == []
    client().delete(f"jobs:{lane(8)[0]}")
    assert len(list(ledger.unaccounted(ledger.Range()))) == 1


def test_a_run_is_cancelled_in_its_lane(sync):
    first, second = sync.enqueue_many([(7,), (7,)])
    runs.cancel(JobRun.objects.get(pk=first.id), actor="tests", reason="")
    assert engine.places(first.id) == []
    assert [one.run_id for one in claim(5)] == [str(second.id)]


def test_a_retried_run_and_a_requeued_one_come_back_to_their_lane(make_job):
    job = make_job(_fail, "tests.sync", retry=1, limits=[at_once(1, key="customer")])
    run = job.enqueue(7)
    attempt_next()
    recorder.record_all()
    assert client().keys("jobs:slots:*") == []
    dead.requeue(JobRun.objects.get(pk=run.id).burials.get(), actor="tests", reason="")
    assert engine.places(run.id) == lane(7)


def test_a_run_put_aside_for_a_cancellation_finds_its_lane_again(sync):
    run = sync.enqueue(7)
    withdraw(str(run.id), queue="default", life=0, aside_seconds=-1)
    tick([], conf.queue_names())
    assert engine.places(run.id) == lane(7)


def test_a_job_that_is_not_durable_is_limited_too(make_job):
    job = make_job(_sync, "tests.sync", durable=False, limits=[at_once(1, key="customer")])
    first, _ = job.enqueue_many([(7,), (7,)])
    assert [one.run_id for one in claim(5)] == [str(first.id)]
    assert hash_of(first.id)["durable"] == "0"


def test_all_are_worked_off_in_the_end(sync):
    sync.enqueue_many([(customer, "some") for customer in range(5) for _ in range(3)])
    assert len(work_off()) == 15
    assert set(JobRun.objects.values_list("state", flat=True)) == {"succeeded"}


def test_drain_and_inline_run_whatever_is_limited(make_job):
    done: list[int] = []
    job = make_job(lambda customer: done.append(customer), "tests.sync", limits=[per_window(1, seconds=3600)])
    job.enqueue_many([(1,), (2,), (3,)])
    assert len(drain()) == 3
    with inline():
        job.enqueue_many([(4,), (5,)])
    assert done == [1, 2, 3, 4, 5]


def test_jobs_that_share_a_limit_and_disagree_are_told_of(make_job):
    make_job(_sync, "tests.a", limits=[at_once(2, name="shared")])
    make_job(_sync, "tests.b", limits=[at_once(3, name="shared")])
    (found,) = [one for one in check_settings() if one.id == "jobs.E011"]
    assert 'at_once(…, name="shared") of tests.a, tests.b is not the same' in found.msg


def test_who_waits_for_work_hears_of_lanes(sync):
    waiting = Waiting(["default"])

    def ask() -> None:
        sync.enqueue(7)
        connection.close()

    asking = threading.Timer(0.05, ask)
    try:
        waiting.wait(0, for_work=True)
        asking.start()
        began = time.monotonic()
        waiting.wait(20, for_work=True)
        assert time.monotonic() - began < 10
        assert client().exists(keys.bell("default"))
    finally:
        asking.join()
        waiting.close()
