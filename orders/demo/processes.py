"""Ties between processes on Linux: who ends with whom, and who comes from whom. Knows nothing of the demo."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.02

# Loaded once, before any fork: between fork and exec nothing should be imported.
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when `parent` ends; end now if it has already.

    The kernel watches the *thread* that started this process: start from the main thread.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def end_when_parent_ends() -> None:
    """Ask the kernel to send this process SIGTERM when the process that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def ending_with_this_process() -> Callable[[], None]:
    """What a child does between fork and exec to end when this process does."""
    parent = os.getpid()
    return lambda: end_with_parent(parent)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none gets out of sight."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_descendants(*, grace_seconds: float) -> None:
    """Wait for this process's descendants to end, then kill those that are left, and reap them all."""
    deadline = time.monotonic() + grace_seconds
    while descendants := _descendants(os.getpid()):
        if time.monotonic() >= deadline:
            for pid in descendants:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
        _reap(descendants)


def _descendants(ancestor: int) -> list[int]:
    children = _children_by_parent()
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        young = children[waiting.pop()]
        found += young
        waiting += young
    return found


def _children_by_parent() -> defaultdict[int, list[int]]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (parent := _parent(folder)) is not None:
            children[parent].append(int(folder.name))
    return children


def _parent(folder: Path) -> int | None:
    try:
        text = (folder / "stat").read_text(errors="replace")
    except OSError:  # it ended while we looked
        return None
    # A program's name stands in brackets and may hold spaces and brackets itself.
    return int(text.rpartition(")")[2].split()[1])


def _reap(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
