"""An idle worker sleeps until there is work, whoever brings it."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import pytest
from rq import Queue

from jobs.broker.connection import client
from jobs.models import JobRun
from jobs.rq_classes import JobsQueue
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, wait_until

# A worker that only woke for its nap of a second would take half of one; the machine may be busy.
PROMPT_MS = 200


def test_an_idle_worker_starts_a_job_at_once(workers: Workers) -> None:
    _idle_worker(workers)
    for number in range(20):
        time.sleep(0.05)
        sample.add.enqueue(number, 0)
    rows = JobRun.objects.filter(queue="default")
    wait_until(lambda: rows.filter(state="succeeded").count() == 20, what="the jobs")
    assert statistics.median(rows.values_list("wait_ms", flat=True)) < PROMPT_MS


def test_an_idle_worker_takes_what_plain_rq_enqueued_at_once(workers: Workers) -> None:
    _idle_worker(workers)
    queue = Queue("default", connection=client(), serializer=JobsQueue("default", connection=client()).serializer)
    waits = []
    for _ in range(20):
        time.sleep(0.05)
        queue.enqueue("shop.tasks.pack", 17)
        pushed_at = time.monotonic()
        while client().llen("rq:queue:default"):
            time.sleep(0.001)
            assert time.monotonic() - pushed_at < 15, "nobody takes it"
        waits.append((time.monotonic() - pushed_at) * 1000)
    assert statistics.median(waits) < PROMPT_MS


@pytest.mark.slow
def test_an_idle_worker_costs_less_than_a_hundredth_of_a_core(workers: Workers) -> None:
    pid = _idle_worker(workers)
    costs = []
    for _ in range(3):
        before = _cpu_seconds(pid)
        time.sleep(5)
        costs.append((_cpu_seconds(pid) - before) / 5)
    assert min(costs) < 0.01, costs


def _idle_worker(workers: Workers) -> int:
    worker = workers.start()
    first = sample.urgent.enqueue(1)
    wait_until(lambda: first.state == "succeeded", seconds=30, what="the worker")
    return worker.pid


def _cpu_seconds(supervisor: int) -> float:
    """What the worker's processes have used in all."""
    ticks = 0
    for pid in (supervisor, *children_of(supervisor)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
