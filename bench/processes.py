"""The processes that a measurement starts, what they cost, and their end. Ends none that it did not start."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]

_PR_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all that descend from it, ancestors first. Empty when it is gone."""
    pids = [pid] if _exists(pid) else []
    for child in children(pid):
        pids += family(child)
    return pids


def children(pid: int) -> list[int]:
    """The pids of a process's children, whichever thread forked them."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """What the process and its family have used, with what their ended children had."""
    return sum(_cpu_ticks(member) for member in family(pid)) / _TICKS


def kill(pids: Sequence[int]) -> None:
    """SIGKILL each; those that are gone already are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def none_left_behind() -> Iterator[None]:
    """Whatever happens in the block, also Ctrl-C and SIGTERM: what it started ends with it.

    What descends from us comes to us when its own parent dies, so that nothing can slip away.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before = signal.signal(signal.SIGTERM, _interrupt)
    own = set(children(os.getpid()))
    try:
        yield
    finally:
        # A second Ctrl-C must not end the clean-up half-way.
        sigint = signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end_all_but(own)
        signal.signal(signal.SIGINT, sigint)
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    environment: dict[str, str],
    log: Path,
    grace_seconds: float = 10.0,
    python: str = sys.executable,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the length of the block: asked to stop at its end, and killed with its family if it does not."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [python, *command],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for us: we end the others.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=grace_seconds)
        kill(family(process.pid) if process.poll() is None else [])
        process.wait()


def reap() -> list[int]:
    """Take leave of children that have ended, ours and those that came to us. Returns their pids."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.append(pid)
    return ended


def _end_all_but(own: set[int]) -> None:
    deadline = time.monotonic() + 5
    while strangers := [pid for pid in children(os.getpid()) if pid not in own]:
        kill([member for pid in strangers for member in reversed(family(pid))])
        for pid in strangers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if time.monotonic() > deadline:
            return


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _cpu_ticks(pid: int) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    # utime, stime, and those of children that have ended.
    return sum(int(word) for word in after_name[11:15])
