"""The two halves of a recorder's measurement, each in a process of its own: settle what waits, then store it."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import Any

# What a worker of ten threads settles in one call.
_TOGETHER = 10


def settle_all() -> None:
    """Run everything that is queued, as a worker does, and leave the journal to the recorder."""
    from jobs import conf
    from jobs.broker.claim import WorkerId
    from jobs.broker.settle import Settlement, settle_and_claim
    from jobs.worker import lifecycle

    worker = WorkerId("bench", f"bench/{secrets.token_hex(4)}")
    ended: list[Settlement] = []
    for turn in itertools.count():
        tokens = [secrets.token_hex(8) for _ in range(_TOGETHER)]
        _, claimed = settle_and_claim(worker, ended, tokens, conf.queue_names())
        ended = [lifecycle.attempt(claim, worker=worker.name) for claim in claimed]
        if turn and not claimed:
            return


def recorded(runs: int) -> dict[str, float]:
    """Store the journal. Microseconds per run: of this process, of the database's own, of Valkey, and in all."""
    from jobs import recorder
    from jobs.broker import inspect

    recorder.position()
    meters: dict[str, Callable[[], float]] = {
        "cpu_us": time.process_time,
        "database_cpu_us": _database_cpu(),
        "server_cpu_us": lambda: _server_cpu(inspect.server()),
        "elapsed_us": time.perf_counter,
    }
    before = {figure: read() for figure, read in meters.items()}
    recorder.record_all()
    return {figure: (read() - before[figure]) / runs * 1e6 for figure, read in meters.items()}


def _server_cpu(info: dict[str, Any]) -> float:
    return float(info["used_cpu_sys"] + info["used_cpu_user"])


def _database_cpu() -> Callable[[], float]:
    """What the database's process for our connection has used; nothing where it has none, as SQLite."""
    from django.db import connection

    from bench.processes import cpu_seconds

    if connection.vendor != "postgresql":
        return lambda: 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return lambda: cpu_seconds(pid)
