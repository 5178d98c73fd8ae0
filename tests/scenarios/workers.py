"""Real worker processes and the ledger of what their jobs did."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from jobs.models import JobRun

ROOT = Path(__file__).resolve().parents[2]
QUEUES = ("critical", "default", "mailers", "external_apis", "low")


def wait_until(holds: Callable[[], object], *, seconds: float = 40.0, what: str = "it") -> None:
    """Return when `holds`, or fail saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)


class Workers:
    """Starts `manage.py rqworker` on this test's database and Valkey, and leaves none behind."""

    def __init__(self, folder: Path) -> None:
        self.ledger_path = folder / "ledger"
        self.log_path = folder / "worker.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, queues: tuple[str, ...] = QUEUES, **environment: str) -> subprocess.Popen[bytes]:
        """One `rqworker` with these arguments."""
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "rqworker", *queues, *arguments],
                cwd=ROOT,
                env={**self.environment(), **environment},
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def burst(self, *arguments: str, queues: tuple[str, ...] = QUEUES) -> None:
        """Work until nothing waits and everything is recorded."""
        assert self.start("--burst", *arguments, queues=queues).wait(timeout=60) == 0, self.log()

    def environment(self) -> dict[str, str]:
        """What a process needs to share this test's database, Valkey and ledger."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "SAMPLE_LEDGER": str(self.ledger_path),
        }

    def ledger(self) -> list[str]:
        return self.ledger_path.read_text().splitlines() if self.ledger_path.exists() else []

    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def stop_all(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()


def database_url() -> str:
    """The test database's address, as a worker process gets it."""
    facts = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


def children_of(pid: int) -> list[int]:
    """The pids of a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def states() -> dict[str, int]:
    """How many runs are in each state."""
    counts: dict[str, int] = {}
    for state in JobRun.objects.values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts


@contextlib.contextmanager
def workers_in(folder: Path) -> Iterator[Workers]:
    workers = Workers(folder)
    try:
        yield workers
    finally:
        workers.stop_all()
