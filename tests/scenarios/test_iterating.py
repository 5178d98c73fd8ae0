"""A job of many items under kills and stops of its worker: none is missing, and few are done twice."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from jobs.broker.connection import client
from jobs.models import JobAttempt
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

pytestmark = pytest.mark.slow

COUNT = 60


def items(workers: Workers) -> Counter[int]:
    """How often each item was done."""
    return Counter(int(line.split()[1]) for line in workers.ledger() if line.startswith("item "))


def wait_for_more(workers: Workers) -> None:
    before = items(workers).total()
    wait_until(lambda: items(workers).total() >= before + 5, seconds=40, what="more items")


def test_a_kill_in_mid_iteration_repeats_one_item_at_the_most(workers: Workers) -> None:
    run = sample.walk.enqueue(COUNT, 0.03)
    workers.start("--concurrency", "2")
    for _ in range(2):
        wait_for_more(workers)
        os.kill(int(workers.ledger()[-1].split()[2]), signal.SIGKILL)
    wait_until(lambda: run.state == "succeeded", seconds=60, what="the walk to end")
    done = items(workers)
    assert sorted(done) == list(range(1, COUNT + 1))
    assert done.total() <= COUNT + 2
    # The second crash was at another place.
    assert (run.row().result, run.row().crashes) == (COUNT, 1)


def test_a_stop_in_mid_iteration_repeats_nothing_and_burns_no_attempt(workers: Workers) -> None:
    run = sample.walk.enqueue(COUNT, 0.03)
    for _ in range(2):
        worker = workers.start("--concurrency", "2")
        wait_for_more(workers)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=40) == 0
        assert (run.row().state, run.row().attempts) == ("queued", 0)
    workers.burst()
    assert items(workers) == Counter(range(1, COUNT + 1))
    assert (run.row().state, run.row().attempts, run.row().result) == ("succeeded", 1, COUNT)
    assert list(JobAttempt.objects.filter(run=run.id).values_list("outcome", flat=True)) == ["interrupted"] * 2


def test_what_redis_lost_is_gone_on_with_from_the_row(workers: Workers) -> None:
    run = sample.walk.enqueue(COUNT, 0.03)
    worker = workers.start("--concurrency", "2")
    wait_for_more(workers)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=40) == 0
    client().hdel(f"rq:job:{run.id}", "checkpoint")
    workers.burst()
    assert items(workers) == Counter(range(1, COUNT + 1))
