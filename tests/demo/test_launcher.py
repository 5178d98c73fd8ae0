"""`manage.py demo`, whole: it comes up, keeps what it stores, and goes without a trace."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.broker.embedded import embedded_server
from orders.demo.ports import free_port
from tests.demo.watching import end_all, marked, wait_until

pytestmark = pytest.mark.slow

# A launcher looks which ports are free before it takes them: each process of the tests has some of its own.
FIRST_PORT = 18_000 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 60
GONE_WITHIN_SECONDS = 25


class Demo:
    """One run of the launcher on a folder of its own. Its processes are those with that folder in their environment."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.mark = f"VAR_DIR={folder}"
        self.port = free_port(FIRST_PORT)
        ours = {"DJANGO_SETTINGS_MODULE": "jobsite.settings", "VAR_DIR": str(folder), **environment}
        theirs = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
        self.launcher = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", str(self.port)],
            cwd=ROOT,
            env={**theirs, **ours},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._heard: queue.Queue[str] = queue.Queue()
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()

    @property
    def output(self) -> str:
        while not self._heard.empty():
            self._lines.append(self._heard.get())
        return "".join(self._lines)

    def wait_for(self, text: str) -> None:
        wait_until(
            lambda: text in self.output or self.launcher.poll() is not None,
            seconds=READY_WITHIN_SECONDS,
            what=f"{text!r} in\n{self.output}",
        )
        assert text in self.output, self.output

    def wait_until_running(self) -> Demo:
        self.wait_for("Jobsite is running")
        self.wait_for("viewer")
        return self

    def pids(self, command: str) -> list[int]:
        """Its processes with `command` in their command lines, the oldest first."""
        return sorted(pid for pid, line in marked(self.mark).items() if command in line)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return response.read().decode()

    def wait_until_gone(self) -> None:
        wait_until(lambda: not marked(self.mark), seconds=GONE_WITHIN_SECONDS, what=f"the end of {marked(self.mark)}")
        self.launcher.wait()

    def stop(self) -> None:
        self.launcher.send_signal(signal.SIGTERM)
        self.wait_until_gone()

    def clean_up(self) -> None:
        end_all(self.mark)
        self.launcher.wait()
        self._reader.join()
        assert self.launcher.stdout is not None
        self.launcher.stdout.close()

    def _listen(self) -> None:
        assert self.launcher.stdout is not None
        for line in self.launcher.stdout:
            self._heard.put(line)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "var")
    yield demo
    demo.clean_up()


def test_the_banners_addresses_and_login_are_true(demo: Demo, tmp_path: Path) -> None:
    demo.wait_until_running()
    assert f"http://127.0.0.1:{demo.port}/" in demo.output
    for address in re.findall(rf"http://127.0.0.1:{demo.port}(\S*)", demo.output):
        assert "<html" in demo.get(address)
    password = (tmp_path / "var" / "operator-password").read_text().strip()
    assert f"operator / {password}" in demo.output
    assert "DEBUG = True" not in demo.get("/")


def test_commands_reach_the_running_demo(demo: Demo, tmp_path: Path) -> None:
    demo.wait_until_running()
    environment = {**os.environ, "VAR_DIR": str(tmp_path / "var"), "DJANGO_SETTINGS_MODULE": "jobsite.settings"}
    command = [sys.executable, "manage.py", "partner", "payments"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    told = subprocess.run([*command[:2], "jobs_circuits"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    address = json.loads((tmp_path / "var" / "addresses.json").read_text())["PAYMENTS_URL"]
    assert f"Payment gateway at {address}" in said
    demo.stop()
    assert not (tmp_path / "var" / "addresses.json").exists()


def test_the_demos_folder_is_for_its_owner_only(demo: Demo, tmp_path: Path) -> None:
    demo.wait_until_running()
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700
    for name in ("secret-key", "operator-password", "viewer-password"):
        assert (tmp_path / "var" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_stops_in_order_and_leaves_no_process(demo: Demo, number: signal.Signals) -> None:
    demo.wait_until_running().launcher.send_signal(number)
    demo.wait_until_gone()
    assert demo.launcher.returncode == 0
    demo.wait_for("Stopped. What it stored is in")
    assert "SIGKILL" not in demo.output
    assert "Traceback" not in demo.output


def test_a_stop_during_the_set_up_leaves_no_process(demo: Demo) -> None:
    demo.wait_for("payments answers")
    demo.stop()
    assert demo.launcher.returncode == 0


def test_a_killed_launcher_leaves_no_process(demo: Demo) -> None:
    demo.wait_until_running().launcher.kill()
    demo.wait_until_gone()


def test_a_killed_supervisor_leaves_no_process(demo: Demo) -> None:
    demo.wait_until_running()
    guard, supervisor = demo.pids("manage.py demo")
    assert guard == demo.launcher.pid
    os.kill(supervisor, signal.SIGKILL)
    demo.wait_until_gone()
    assert demo.launcher.returncode == 137


def test_both_of_the_launchers_processes_killed_at_once_leave_no_process(demo: Demo) -> None:
    demo.wait_until_running()
    for pid in demo.pids("manage.py demo"):
        os.kill(pid, signal.SIGKILL)
    demo.wait_until_gone()


@pytest.mark.parametrize("command", ["gunicorn", "rqworker", "partners payments", "unixsocket"])
def test_a_killed_part_comes_back_and_the_shop_answers(demo: Demo, command: str) -> None:
    demo.wait_until_running()
    before = demo.pids(command)
    os.kill(before[0], signal.SIGKILL)
    demo.wait_for("was ended by SIGKILL; starting it again in 1 s.")
    wait_until(lambda: set(demo.pids(command)) - set(before), seconds=15, what=f"another {command}")
    wait_until(lambda: is_ready(demo), seconds=15, what="the shop to be ready again")


def is_ready(demo: Demo) -> bool:
    try:
        return '"ok"' in demo.get("/readyz")
    except OSError:
        return False


def test_run_twice_it_keeps_its_data_and_shows_no_password(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    first = Demo(folder)
    try:
        first.wait_until_running().stop()
        kept = {name: (folder / name).read_text() for name in ("secret-key", "operator-password")}
        goods = count(folder, "orders_product")
        second = Demo(folder)
        try:
            second.wait_until_running()
            assert kept["operator-password"].strip() not in second.output
            assert f"operator, password in {folder}/operator-password" in second.output
            assert {name: (folder / name).read_text() for name in kept} == kept
            assert count(folder, "orders_product") == goods > 0
            assert (folder / "valkey" / "appendonlydir").is_dir()
        finally:
            second.clean_up()
    finally:
        first.clean_up()


def count(folder: Path, table: str) -> int:
    connection = sqlite3.connect(folder / "jobsite.sqlite3")
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def test_a_second_demo_in_the_same_folder_is_refused(demo: Demo, tmp_path: Path) -> None:
    demo.wait_until_running()
    second = Demo(tmp_path / "var")
    second.launcher.wait(timeout=20)
    second._reader.join()
    assert second.launcher.returncode == 2
    assert "The demo is already running" in second.output
    assert second.launcher.stdout is not None
    second.launcher.stdout.close()


def test_a_given_redis_is_used_and_left_running(tmp_path: Path) -> None:
    with embedded_server() as server:
        demo = Demo(tmp_path / "var", REDIS_URL=server.url)
        try:
            demo.wait_until_running()
            assert is_ready(demo)
            assert demo.pids("unixsocket") == []
            demo.stop()
            assert server.process is not None
            assert server.process.poll() is None
        finally:
            demo.clean_up()


def test_a_given_database_is_used(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "var", DATABASE_URL=f"sqlite:///{tmp_path}/jobsite.sqlite3")
    try:
        demo.wait_until_running()
        assert count(tmp_path, "orders_product") > 0
        assert not (tmp_path / "var" / "jobsite.sqlite3").exists()
    finally:
        demo.clean_up()
