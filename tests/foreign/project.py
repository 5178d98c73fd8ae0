"""Runs the sample project on django-rq, before and after the switch, as processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.scenarios.workers import ROOT, children_of, wait_until

FOLDER = ROOT / "tests" / "djangorq_project"
BEFORE, AFTER = "settings_before", "settings_after"


class Project:
    """One database and one server; each command says under which settings it runs."""

    def __init__(self, folder: Path, redis_url: str, *, tables: Path) -> None:
        """`tables` is a copy of the empty database, made when it is first wanted."""
        self.database = folder / "parcels.sqlite3"
        self.log_path = folder / "worker.log"
        self._redis_url = redis_url
        self._workers: list[subprocess.Popen[bytes]] = []
        if tables.exists():
            shutil.copy(tables, self.database)
            return
        # The tables of both, so that there is something to switch to.
        self.manage(AFTER, "migrate", "-v", "0")
        shutil.copy(self.database, tables)

    def manage(self, settings: str, *words: str, **environment: str) -> str:
        """What `manage.py` printed."""
        command, given = [sys.executable, "manage.py", *words], self._environment(settings, environment)
        done = subprocess.run(command, cwd=FOLDER, env=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def parcels(self, settings: str, *words: str) -> Any:
        """What the project's own command tells."""
        return json.loads(self.manage(settings, "parcels", *words))

    def start_worker(self, settings: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "rqworker", "high", "default", *words],
                cwd=FOLDER,
                env=self._environment(settings, environment),
                stdout=log,
                stderr=log,
            )
        self._workers.append(worker)
        return worker

    def stop(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=30)

    def work_until(self, settings: str, holds: Callable[[], object], *, what: str, **environment: str) -> None:
        """Let a worker work until `holds`."""
        with_scheduler = ["--with-scheduler"] if settings == BEFORE else []
        worker = self.start_worker(settings, *with_scheduler, **environment)
        try:
            wait_until(holds, seconds=60, what=what)
        except AssertionError as late:
            raise AssertionError(f"{late}; the worker says:\n{self.log()[-3000:]}") from None
        self.stop(worker)

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The rows of a table, read past Django."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as connection:
            return connection.execute(f"SELECT {columns} FROM {table}").fetchall()

    def states(self) -> dict[str, int]:
        """How many runs Jobsite recorded, by state."""
        found = [state for (state,) in self.rows("jobs_jobrun", "state")]
        return {state: found.count(state) for state in set(found)}

    def events(self) -> list[tuple[str, str]]:
        return sorted(self.rows("parcels_event", "code, what"))

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop_all(self) -> None:
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(timeout=20)
            worker.kill()
            worker.wait()

    def _environment(self, settings: str, more: dict[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": str(ROOT),
            "PARCELS_DATABASE": str(self.database),
            "REDIS_URL": self._redis_url,
            **more,
        }


def kill_family(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker's processes and then itself, as a lost host would."""
    for pid in [*children_of(worker.pid), worker.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker.wait()


@contextlib.contextmanager
def project_in(folder: Path, redis_url: str, *, tables: Path) -> Iterator[Project]:
    project = Project(folder, redis_url, tables=tables)
    try:
        yield project
    finally:
        project.stop_all()
