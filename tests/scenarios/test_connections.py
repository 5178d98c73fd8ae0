"""A worker holds as many connections as the operators' guide says, and no more."""

from __future__ import annotations

import os
from pathlib import Path

from django.db import connection

from jobs.broker.connection import client
from jobs.models import JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import QUEUES, Workers, children_of, wait_until

THREADS = 3


def database_connections(worker: int) -> int:
    """Those of the worker's processes."""
    if connection.vendor == "postgresql":
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with connection.cursor() as cursor:
            cursor.execute(others)
            return int(cursor.fetchone()[0])
    return sum(_opened(pid, connection.settings_dict["NAME"]) for pid in (worker, *children_of(worker)))


def _opened(pid: int, path: str) -> int:
    """How often a process has a file open: SQLite opens the database once for each connection."""
    links = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(os.readlink(one))
        except FileNotFoundError:
            continue
    return links.count(str(path))


def test_a_worker_holds_the_connections_that_the_guide_counts(workers: Workers) -> None:
    # This test's own.
    before = len(client().client_list())
    worker = workers.start("--concurrency", str(THREADS), SAMPLE_SCHEDULES="1", SAMPLE_ALERTS="{}")
    # The child's loop, and for each queue that it waits on one, and one for its lanes; the supervisor; the recording
    # process, and its look at the rules of alerts.
    idle = 1 + 2 * len(QUEUES) + 1 + 2
    wait_until(lambda: len(client().client_list()) - before == idle, what=f"{idle} connections to Redis")
    sample.add.enqueue_many([(n, n) for n in range(30)])
    most_redis, most_database = 0, 0

    def is_done() -> bool:
        nonlocal most_redis, most_database
        most_redis = max(most_redis, len(client().client_list()) - before)
        most_database = max(most_database, database_connections(worker.pid))
        return JobRun.objects.filter(name=sample.add.name, state="succeeded").count() == 30

    wait_until(is_done, seconds=30, what="the runs")
    assert most_redis <= idle + THREADS
    assert most_database <= THREADS + 3
