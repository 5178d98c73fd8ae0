"""What goes wrong around real workers while they work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

from django.db import connection, transaction

from jobs.broker.connection import client
from jobs.models import Batch
from tests.scenarios.workers import children_of, wait_until

_SECONDS = 5.0


def redis_stands_still() -> None:
    """Redis answers nobody for five seconds."""
    pid = client().info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(_SECONDS)
    finally:
        os.kill(pid, signal.SIGCONT)


def database_stands_still() -> None:
    """Nobody else writes to a batch for five seconds; where the database has one writer at a time, to nothing."""
    with transaction.atomic():
        if connection.vendor == "sqlite":
            Batch.objects.update(why="")
        else:
            list(Batch.objects.select_for_update())
        time.sleep(_SECONDS)


def process_dies(worker: subprocess.Popen[bytes], turn: int) -> None:
    """One process of a worker dies: a child or the one that records, in turns."""
    # There is none for a moment where a job has just ended its process.
    wait_until(lambda: children_of(worker.pid), what="a process to kill")
    victims = children_of(worker.pid)
    with contextlib.suppress(ProcessLookupError, ZeroDivisionError):
        os.kill(victims[turn % len(victims)], signal.SIGKILL)


def host_dies(worker: subprocess.Popen[bytes]) -> None:
    """All processes of a worker die at once."""
    for pid in [worker.pid, *children_of(worker.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker.wait()
