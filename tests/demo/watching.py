"""Finds the processes of one launch by a mark in their environment, which every child inherits.

Valkey writes its title over its environment: it is known by its working folder.
"""

from __future__ import annotations

import contextlib
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
    """The living processes with `mark` ("NAME=folder") in their environment, or at work in that folder.

    By pid, with their command lines.
    """
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (command := _command(folder, mark)) is not None:
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
        # One may end while its name is read.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)


def _command(process: Path, mark: str) -> str | None:
    try:
        is_ours = _has_mark(process, mark) or _works_in(process, mark.partition("=")[2])
        if not is_ours or _is_zombie(process):
            return None
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it ended while we looked
        return None


def _has_mark(process: Path, mark: str) -> bool:
    return mark.encode() in (process / "environ").read_bytes().split(b"\0")


def _works_in(process: Path, folder: str) -> bool:
    return (process / "cwd").readlink().is_relative_to(folder)


def _is_zombie(process: Path) -> bool:
    return (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
