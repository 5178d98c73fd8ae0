"""What a worker takes in hand ahead of its threads goes back when they do not come to it."""

from __future__ import annotations

import signal

import pytest

from jobs.broker.claim import WorkerId
from jobs.broker.connection import client
from jobs.broker.settle import settle_and_claim
from jobs.models import JobAttempt
from tests.engine import hash_of
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until


@pytest.mark.slow
def test_what_waits_behind_long_runs_goes_back_to_its_queue(workers: Workers) -> None:
    short = sample.add.enqueue_many([(n, n) for n in range(500)])
    sample.nap.enqueue_many([(30, 1), (30, 2)])
    late = sample.add.enqueue_many([(n, -1) for n in range(60)])
    worker = workers.start("--concurrency", "2", "--shutdown-timeout", "0.5")
    wait_until(lambda: {"start 1", "start 2"} <= set(workers.ledger()), seconds=30, what="the long runs to start")
    wait_until(lambda: client().llen("rq:queue:default") == len(late), what="the others to be queued again")
    assert client().lrange("rq:queue:default", 0, -1) == [str(run.id).encode() for run in late]
    assert {hash_of(run.id)["attempts"] for run in late} == {"0"}
    assert len(workers.ledger()) == len(short) + 2
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    # Only what had begun has an attempt that ended.
    assert set(JobAttempt.objects.values_list("run__name", flat=True)) == {"tests.sample.nap"}


@pytest.mark.slow
def test_a_stop_in_the_middle_of_short_runs_leaves_no_mark_on_what_waits(workers: Workers) -> None:
    runs = sample.add.enqueue_many([(n, n) for n in range(3000)])
    worker = workers.start("--concurrency", "4")
    wait_until(lambda: len(workers.ledger()) > 300, seconds=30, what="some to have run")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    ran = len(workers.ledger())
    assert client().llen("rq:queue:default") == len(runs) - ran
    assert not JobAttempt.objects.exists()
    workers.burst()
    assert sorted(workers.ledger()) == sorted(f"add {n} {n}" for n in range(3000))


@pytest.mark.slow
def test_a_claim_that_arrives_after_its_worker_gave_it_up_keeps_no_run(workers: Workers) -> None:
    sample.nap.enqueue(40, 1)
    workers.start("--concurrency", "1", "--shutdown-timeout", "0.5")
    wait_until(lambda: "start 1" in workers.ledger(), seconds=30, what="the only thread to be busy")
    late = sample.add.enqueue(1, 2)
    (worker_id,) = (one.decode() for one in client().zrange("jobs:leases", 0, -1))
    settle_and_claim(WorkerId(worker_id.partition("/")[0], worker_id), [], ["feed-9"], ["default"])
    assert client().llen("rq:queue:default") == 0
    wait_until(lambda: client().llen("rq:queue:default") == 1, seconds=30, what="it to be handed back")
    assert hash_of(late.id)["attempts"] == "0"
