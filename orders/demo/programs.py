"""The programs of the demo and their command lines. Starts none of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .addresses import Addresses
from .parts import Program
from .ports import HOST

_QUEUES = ("critical", "default", "mailers", "external_apis", "low")
# Ctrl-C should not take longer than a person waits. What still runs then is handed back to its queue.
_WORKER_GRACE_SECONDS = 10
_WEB_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Programs:
    """Makes each program for one run of the demo."""

    code_folder: Path
    data_folder: Path
    addresses: Addresses
    environment: Mapping[str, str]

    def preparation(self) -> Program:
        """Brings the database, the static files, the accounts and the shop's goods up to date, and ends."""
        return self._manage("set-up", "demo_prepare", stop_seconds=5)

    def partners(self) -> list[Program]:
        return [
            self._partner("payments", self.addresses.payments),
            self._partner("warehouse", self.addresses.warehouse),
            self._partner("lists", self.addresses.lists),
            self._partner("mailbox", self.addresses.mailbox, "--smtp-port", str(self.addresses.smtp)),
        ]

    def worker(self) -> Program:
        grace = ("--shutdown-timeout", str(_WORKER_GRACE_SECONDS))
        return self._manage("worker", "rqworker", *_QUEUES, *grace, stop_seconds=_WORKER_GRACE_SECONDS + 5)

    def web(self) -> Program:
        arguments = ["gunicorn", "jobsite.wsgi", "--bind", f"{HOST}:{self.addresses.web}"]
        arguments += ["--threads", "8", "--graceful-timeout", str(_WEB_GRACE_SECONDS)]
        # Its control socket would be in the home folder, one for all checkouts.
        arguments += ["--no-control-socket", "--log-level", "warning"]
        return self._python("web", "-m", *arguments, stop_seconds=_WEB_GRACE_SECONDS + 2)

    def _partner(self, name: str, port: int, *more: str) -> Program:
        folder = str(self.data_folder / "partners")
        return self._manage(name, "partners", name, "--port", str(port), *more, "--folder", folder, stop_seconds=5)

    def _manage(self, name: str, *arguments: str, stop_seconds: float) -> Program:
        return self._python(name, "manage.py", *arguments, stop_seconds=stop_seconds)

    def _python(self, name: str, *arguments: str, stop_seconds: float) -> Program:
        return Program(
            name,
            [sys.executable, *arguments],
            environment=self.environment,
            folder=self.code_folder,
            stop_seconds=stop_seconds,
        )
