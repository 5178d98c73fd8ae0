"""A child that cannot start: tried again ever more slowly, and in nobody's way."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from tests.sample import jobs as sample
from tests.scenarios.workers import ROOT, Workers, wait_until

BROKEN = """
import sys, time
import django
django.setup()
from jobs.worker import supervisor
from jobs.worker.options import WorkerOptions

class Broken:
    def __init__(self, *args):
        with open(sys.argv[1], "a") as starts:
            starts.write(f"{time.monotonic()}\\n")
        raise ImportError("no such library")

supervisor.Child = Broken
supervisor.Supervisor(WorkerOptions(name="broken", queues=("default",))).run()
"""


@contextlib.contextmanager
def broken_worker(workers: Workers, starts: Path) -> Iterator[subprocess.Popen[bytes]]:
    starts.touch()
    process = subprocess.Popen([sys.executable, "-c", BROKEN, str(starts)], env=workers.environment(), cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.slow
def test_a_child_that_cannot_start_does_not_spin_and_delays_no_other_queue(workers: Workers, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    with broken_worker(workers, starts) as broken:
        wait_until(lambda: len(starts.read_text().splitlines()) >= 4, what="four starts")
        times = [float(line) for line in starts.read_text().splitlines()]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert all(wait > least for wait, least in zip(waits, (0.4, 0.9, 1.9), strict=False)), waits
        # What any supervisor does for all goes on.
        late = sample.add.using(queue="low", at=3600).enqueue(1, 1)
        client().zadd(keys.scheduled("low"), {str(late.id): 1})
        wait_until(lambda: client().llen(keys.queue("low")) == 1, what="the due run to be moved")
        workers.start("--burst", queues=("critical", "low")).wait(timeout=30)
        assert late.state == "succeeded"
        before = time.monotonic()
        broken.send_signal(signal.SIGTERM)
        assert broken.wait(timeout=20) == 0
        assert time.monotonic() - before < 15
