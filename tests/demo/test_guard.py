"""Whatever ends the launcher, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.watching import end_all, marked, wait_until

ROOT = Path(__file__).resolve().parents[2]


class Family:
    """`family.py` as a process, with the pids of guard and body."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        name, _, value = mark.partition("=")
        self.guard = subprocess.Popen(
            [sys.executable, "-m", "tests.demo.family"],
            env={**os.environ, name: value},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.guard.stdout is not None
        assert self.guard.stdout.readline() == "ready\n"

    @property
    def body(self) -> int:
        ours = [pid for pid, command in marked(self.mark).items() if "tests.demo.family" in command]
        (body,) = set(ours) - {self.guard.pid}
        return body

    def wait_until_gone(self) -> str:
        wait_until(lambda: not marked(self.mark), seconds=30, what=f"the end of {marked(self.mark)}")
        self.guard.wait()
        return self.guard.stdout.read() if self.guard.stdout else ""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    mark = f"FAMILY={tmp_path}"
    family = Family(mark)
    try:
        # A process that is just starting shows no environment for a moment.
        wait_until(lambda: len(marked(mark)) >= 4, seconds=30, what="guard, body, child and grandchild")
        yield family
    finally:
        end_all(mark)
        family.guard.wait()
        assert family.guard.stdout is not None
        family.guard.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_reaches_the_body_once_and_leaves_no_process(family: Family, number: signal.Signals) -> None:
    os.kill(family.guard.pid, number)
    assert family.wait_until_gone() == f"stopped by {number.name}, 1 time\n"
    assert family.guard.returncode == 0


def test_ctrl_c_in_a_terminal_reaches_the_body_once(family: Family) -> None:
    os.killpg(family.guard.pid, signal.SIGINT)
    assert family.wait_until_gone() == "stopped by SIGINT, 1 time\n"


def test_a_killed_guard_leaves_no_process(family: Family) -> None:
    family.guard.kill()
    assert family.wait_until_gone() == "stopped by SIGTERM, 1 time\n"


@pytest.mark.slow
def test_a_killed_body_leaves_no_process(family: Family) -> None:
    os.kill(family.body, signal.SIGKILL)
    family.wait_until_gone()
    assert family.guard.returncode == -signal.SIGKILL % 256
