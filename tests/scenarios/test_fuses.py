"""Fuses under real workers: what is held waits and then runs in its order, and no other job minds."""

from __future__ import annotations

import time

import pytest

from jobs import fuses
from jobs.broker.connection import client
from jobs.models import Fuse, JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, states, wait_until

pytestmark = pytest.mark.slow


def add(job: str, **options: object) -> Fuse:
    return fuses.add(job, **{"reason": "it loops", "actor": "ann", **options})


def caught(fuse: Fuse) -> int:
    return sum(fuses.caught([fuse])[fuse.pk].values())


def test_held_runs_wait_while_others_run_and_then_run_in_their_order(workers: Workers) -> None:
    fuse = add("tests.sample.add")
    sample.add.enqueue_many([(n, 0) for n in range(30)])
    sample.urgent.enqueue(1)
    other = sample.bystander.enqueue(0, 7)
    workers.start("--concurrency", "1")
    wait_until(lambda: other.state == "succeeded", what="the other job, which stands behind")
    wait_until(lambda: caught(fuse) == 30, what="the runs to be caught")
    sample.add.enqueue(99, 0)
    fuses.lift(fuse, actor="ann")
    wait_until(lambda: states() == {"succeeded": 33}, what="the held runs")
    assert [line for line in workers.ledger() if line.startswith("add")] == [f"add {n} 0" for n in [*range(30), 99]]
    wait_until(lambda: not client().exists("jobs:fuses"), what="Redis to forget the fuse")


def test_discarded_runs_end_without_having_started(workers: Workers) -> None:
    add("tests.sample.add", action="discard", where={"left": 1})
    sample.add.enqueue_many([(n % 2, n) for n in range(20)])
    workers.burst("--concurrency", "2")
    assert states() == {"succeeded": 10, "discarded": 10}
    assert sorted(workers.ledger()) == sorted(f"add 0 {n}" for n in range(0, 20, 2))


def test_a_slow_fuse_keeps_its_rate_over_all_workers(workers: Workers) -> None:
    add("tests.sample.add", action="slow", rate="10/s")
    sample.add.enqueue_many([(n, 0) for n in range(60)])
    for _ in range(2):
        workers.start("--concurrency", "4")
    wait_until(lambda: len(workers.ledger()) > 0, what="the first run")
    began = time.monotonic()
    wait_until(lambda: len(workers.ledger()) == 60, seconds=30, what="all runs")
    # A second's worth may start at once, and an idle worker looks each second.
    assert 4.0 < time.monotonic() - began < 12.0


def test_a_fuse_ends_by_itself_and_what_it_held_starts(workers: Workers) -> None:
    fuse = add("tests.sample.add", seconds=2)
    run = sample.add.enqueue(1, 2)
    workers.start()
    wait_until(lambda: caught(fuse) == 1, what="the run to be caught")
    wait_until(lambda: run.state == "succeeded", what="the run")
    wait_until(lambda: Fuse.objects.get().released_at is not None, what="the fuse to be over")
    assert Fuse.objects.get().ended_by == "expiry"


def test_a_wiped_redis_holds_what_it_held(workers: Workers) -> None:
    fuse = add("tests.sample.add")
    sample.add.enqueue_many([(n, 0) for n in range(50)])
    workers.start("--concurrency", "2")
    wait_until(lambda: caught(fuse) == 50, what="the runs to be caught")
    client().flushall()
    other = sample.bystander.enqueue(0, 7)
    wait_until(lambda: other.state == "succeeded", seconds=40, what="the other job")
    wait_until(lambda: caught(fuse) == 50, seconds=40, what="the runs to be caught again")
    assert [line for line in workers.ledger() if line.startswith("add")] == []
    fuses.lift(fuse, actor="ann")
    wait_until(lambda: states() == {"succeeded": 51}, seconds=40, what="the held runs")


def test_a_job_that_kills_its_process_again_and_again_is_held_by_itself(workers: Workers) -> None:
    sample.kill_worker.enqueue_many([() for _ in range(12)])
    other = sample.bystander.using(queue="low").enqueue(0, 7)
    workers.start("--concurrency", "1")
    wait_until(lambda: Fuse.objects.filter(by_rule=True).exists(), seconds=90, what="the fuse")
    fuse = Fuse.objects.get()
    assert (fuse.name, fuse.action) == ("tests.sample.kill_worker", "hold")
    assert "is kept from starting" in workers.log()
    wait_until(lambda: other.state == "succeeded", seconds=60, what="the other job")
    deaths = workers.ledger().count("kill")
    assert 5 <= deaths < 36
    assert JobRun.objects.filter(state="dead").count() < 12


def test_a_hundred_thousand_held_runs_delay_no_other_job(workers: Workers) -> None:
    fuse = add("tests.sample.pass_through")
    sample.pass_through.enqueue_many(("flood",) for _ in range(100_000))
    others = sample.bystander.enqueue_many([(0, n) for n in range(10)])
    workers.start("--concurrency", "4", queues=("default",))
    wait_until(lambda: caught(fuse) > 0, seconds=60, what="the first of them to be caught")
    began = time.monotonic()
    wait_until(lambda: all(other.state == "succeeded" for other in others), seconds=60, what="the others")
    took = time.monotonic() - began
    # A second or two on a quiet machine.
    assert took < 15, took
    assert caught(fuse) == 100_000
    late = sample.bystander.enqueue(0, 11)
    wait_until(lambda: late.state == "succeeded", what="one that comes later")
    assert JobRun.objects.get(pk=late.id).wait_ms < 2000
