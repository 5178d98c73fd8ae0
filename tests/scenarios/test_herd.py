"""50,000 runs that are due at one instant, and another queue that must not wait for them."""

from __future__ import annotations

import threading
import time

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

HERD = 50_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_herd_that_is_due_at_once_does_not_delay_another_queue(workers: Workers) -> None:
    sample.pass_through.using(queue="low", at=3600).enqueue_many([("low",)] * HERD)
    assert client().zcard(keys.scheduled("low")) == HERD
    workers.start("--concurrency", "4")
    first = sample.urgent.enqueue(0)
    wait_until(lambda: first.state == "succeeded", what="the worker")
    promoted_at: list[float] = []

    def watch() -> None:
        while client().exists(keys.scheduled("low")):
            time.sleep(0.01)
        promoted_at.append(time.monotonic())

    watcher = threading.Thread(target=watch)
    # All are due in one instant, long ago.
    client().zunionstore(keys.scheduled("low"), {keys.scheduled("low"): 0})
    begun_at = time.monotonic()
    watcher.start()
    for number in range(60):
        sample.urgent.enqueue(number)
        time.sleep(0.1)
    watcher.join(60)
    assert promoted_at, "the herd is not in its queue yet"
    assert promoted_at[0] - begun_at < 30
    urgent = JobRun.objects.filter(queue="critical")
    assert urgent.count() == 61
    wait_until(lambda: urgent.filter(state="succeeded").count() == 61, seconds=60, what="the other queue's runs")
    waits = sorted(urgent.values_list("wait_ms", flat=True))
    assert waits[round(len(waits) * 0.95) - 1] < 2_000, waits
