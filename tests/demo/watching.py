"""Finds the processes of one launch by a mark in their environment, which every child inherits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(holds: Callable[[], object], *, seconds: float, what: str) -> None:
    """Return when `holds`, or fail saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)


def marked(mark: str) -> dict[int, str]:
    """The living processes that have `mark` ("NAME=value") in their environment: pid and command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (command := _command(folder, mark.encode())) is not None:
            found[int(folder.name)] = command
    return found


def is_running(pid: int) -> bool:
    """Whether the process lives; one that only waits to be reaped does not."""
    try:
        return not _is_zombie(Path("/proc") / str(pid))
    except FileNotFoundError:
        return False


def end_all(mark: str) -> None:
    """Kill what a failed test left."""
    for pid in marked(mark):
        os.kill(pid, 9)


def _command(folder: Path, mark: bytes) -> str | None:
    try:
        if mark not in (folder / "environ").read_bytes().split(b"\0") or _is_zombie(folder):
            return None
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it ended while we looked
        return None


def _is_zombie(folder: Path) -> bool:
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
