"""Ends attempts that pass their time limit, by raising `JobTimedOut` in their thread.

The exception may only strike while the job's own function is armed: anywhere else it would hit the thread
pool or leave a lock held. `_firing` is what keeps a strike from landing after `disarm`.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from types import FrameType

from jobs.errors import JobTimedOut

# Who waits for a lock by one of the wrappers in `threading` is left in peace for this long, and then struck.
_PATIENCE_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.01

_firing = threading.Lock()
_watches: dict[int, _Watch] = {}


class _Watch:
    __slots__ = ("at", "fired")

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        self.fired = False


class limit:
    """Let `strike_late` raise `JobTimedOut` in this thread once `seconds` have passed, until the block ends.

    Not a generator: `contextlib` sets the traceback of what passes through, which a frozen exception refuses.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        _watches[self._thread] = _Watch(self._seconds)

    def __exit__(self, *error: object) -> None:
        _disarm(self._thread)


def strike_late() -> float | None:
    """Raise in every armed thread whose limit has passed. Returns seconds until the next limit, or None."""
    now = time.monotonic()
    next_in: float | None = None
    with _firing:
        for thread, watch in list(_watches.items()):
            if watch.fired:
                continue
            wait = watch.at - now
            if wait <= 0 and not _is_tender(thread, late=-wait):
                watch.fired = True
                _raise_in(thread, ctypes.py_object(JobTimedOut))
                continue
            wait = max(wait, _LOOK_AGAIN_SECONDS)
            next_in = wait if next_in is None else min(next_in, wait)
    return next_in


def ignored_for(seconds: float) -> set[int]:
    """The threads whose attempt has not ended within `seconds` of its limit."""
    before = time.monotonic() - seconds
    return {thread for thread, watch in list(_watches.items()) if watch.at < before}


def _is_tender(thread: int, *, late: float) -> bool:
    """Whether a strike now could leave a lock held that others need."""
    frame: FrameType | None = sys._current_frames().get(thread)
    if frame is not None and frame.f_globals.get("__name__") == "threading" and late < _PATIENCE_SECONDS:
        return True
    # A handler holds its lock while it formats, whatever that calls; every thread that logs would wait for ever.
    while frame is not None and frame.f_globals.get("__name__") != "logging":
        frame = frame.f_back
    return frame is not None


def _disarm(thread: int) -> None:
    while True:
        try:
            with _firing:
                _watches.pop(thread, None)
                # A strike that was sent and has not landed is taken back: the function had returned by then.
                _raise_in(thread, None)
            return
        except JobTimedOut:
            # It landed here, between the function's end and the lock.
            continue


def _raise_in(thread: int, error: ctypes.py_object[type[BaseException]] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
