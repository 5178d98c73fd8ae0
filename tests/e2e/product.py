"""Runs the whole product for the tests, as `make run` does, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from orders.demo.accounts import password_path
from orders.demo.ports import HOST, free_port
from tests.demo.watching import end_all, marked, wait_until

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 90
GONE_WITHIN_SECONDS = 30
# What would lead the demo to servers or mailboxes of somebody else.
_NOT_INHERITED = {
    *("REDIS_URL", "DATABASE_URL", "SECRET_KEY", "DEBUG", "HTTPS", "ALLOWED_HOSTS"),
    *("PAYMENTS_URL", "WAREHOUSE_URL", "LISTS_URL", "MAILBOX_URL", "EMAIL_URL", "SITE_URL"),
    "PAYMENTS_WEBHOOK_SECRET",
}


class Product:
    """One run of the demo. Its processes are those with its folder in their environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = f"VAR_DIR={folder}"
        self._log = folder / "demo.log"
        port = free_port(18_000)
        self.url = f"http://{HOST}:{port}"
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        ours = {"DJANGO_SETTINGS_MODULE": "jobsite.settings", "VAR_DIR": str(folder)}
        with self._log.open("w") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, "manage.py", "demo", "--port", str(port)],
                cwd=ROOT,
                env={**inherited, **ours},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def password(self, username: str) -> str:
        return password_path(self._folder, username).read_text().strip()

    def wait_until_running(self) -> None:
        wait_until(self._answers, seconds=READY_WITHIN_SECONDS, what=f"the shop's first answer:\n{self.output}")

    def stop(self) -> None:
        """Stop it as a person would, and fail if a process is left."""
        try:
            self._launcher.terminate()
            self._launcher.wait(GONE_WITHIN_SECONDS)
            assert not marked(self._mark), f"left behind:\n{marked(self._mark)}"
        finally:
            end_all(self._mark)
            self._launcher.wait()

    def _answers(self) -> bool:
        assert self._launcher.poll() is None, f"the demo ended:\n{self.output}"
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
