"""Redis or the database is away for a while under real workers: they outlive it, and nothing is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobAttempt
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, states, wait_until


def become_a_replica() -> None:
    client().replicaof("127.0.0.1", "1")


def be_promoted() -> None:
    client().replicaof("NO", "ONE")


def be_full() -> None:
    client().config_set("maxmemory", "1")


def have_room() -> None:
    client().config_set("maxmemory", "0")


@pytest.mark.slow
@pytest.mark.parametrize(("begin", "end"), [(become_a_replica, be_promoted), (be_full, have_room)])
def test_a_server_that_refuses_for_a_while_repeats_nothing(
    workers: Workers, begin: Callable[[], None], end: Callable[[], None]
) -> None:
    worker = workers.start("--concurrency", "4")
    sample.nap.enqueue_many([(0.1, n) for n in range(40)])
    wait_until(lambda: len(workers.ledger()) > 10, what="some of the work")
    begin()
    try:
        # Whatever runs now ends while the server refuses.
        time.sleep(1.5)
    finally:
        end()
    wait_until(lambda: states() == {"succeeded": 40}, seconds=40, what="all runs to succeed")
    assert worker.poll() is None
    ends = [line for line in workers.ledger() if line.startswith("end")]
    assert sorted(ends) == sorted(f"end {n}" for n in range(40))
    assert client().hget(keys.COUNTERS, "stale_settles") is None


@pytest.mark.slow
def test_the_journals_limit_pauses_the_work_and_the_log_tells_of_it(workers: Workers) -> None:
    client().xadd(keys.JOURNAL, {"e": "{}"})
    client().set(keys.RECORDER, "somebody else", ex=4)
    run = sample.add.enqueue(1, 1)
    workers.start(SAMPLE_JOURNAL_LIMIT="1")
    wait_until(lambda: "JOURNAL_LIMIT" in workers.log(), what="the pause")
    assert run.state == "queued"
    wait_until(lambda: run.state == "succeeded", seconds=30, what="the run, once the recorder has caught up")
    assert "claims again" in workers.log()
    # Once for that pause, and again for what the run itself left; the claims were tried some twenty times.
    assert workers.log().count("JOURNAL_LIMIT") < 5
    assert not JobAttempt.objects.exists()
