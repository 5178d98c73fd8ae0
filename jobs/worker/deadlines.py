"""Ends attempts that pass their time limit or are stopped, by raising `JobTimedOut` or `JobStopped` in their thread.

The exception may only strike while the job's own function is armed: anywhere else it would hit the thread
pool or leave a lock held. `_firing` is what keeps a strike from landing after `disarm`.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from jobs.errors import JobStopped, JobTimedOut

# Who waits for a lock by one of the wrappers in `threading` is left in peace for this long, and then struck.
_PATIENCE_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.01
# An async job's event loop is told first, and cleans up; its thread is struck only if it does not.
LOOP_GRACE_SECONDS = 5.0

_firing = threading.Lock()
_watches: dict[int, Watch] = {}


class Watch:
    """One attempt's limit: at which moment what is raised in it.

    `cancel` is what wakes an event loop that waits in that thread's stead, None where there is none.
    """

    __slots__ = ("at", "cancel", "error", "fired")

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        self.fired = False
        self.error: type[BaseException] = JobTimedOut
        self.cancel: Callable[[], object] | None = None

    @property
    def is_stopped(self) -> bool:
        return self.error is JobStopped

    def stop(self, *, grace: float) -> None:
        """Let `strike_late` raise `JobStopped` after `grace` seconds. A limit that strikes sooner does so."""
        if not self.fired and not self.is_stopped:
            self.error = JobStopped
            self.at = min(self.at, time.monotonic() + grace)


class limit:
    """Let `strike_late` raise `JobTimedOut` in this thread once `seconds` have passed, until the block ends.

    Not a generator: `contextlib` sets the traceback of what passes through, which a frozen exception refuses.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        _watches[self._thread] = Watch(self._seconds)

    def __exit__(self, *error: object) -> None:
        _disarm(self._thread)


def current() -> Watch | None:
    """The limit that this thread's attempt is under."""
    return watch_of(threading.get_ident())


def watch_of(thread: int) -> Watch | None:
    """The limit that a thread's attempt is under, None where there is none."""
    return _watches.get(thread)


def strike_late() -> float | None:
    """Raise in every armed thread whose limit has passed. Returns seconds until the next limit, or None."""
    now = time.monotonic()
    next_in: float | None = None
    with _firing:
        for thread, watch in list(_watches.items()):
            if watch.fired:
                continue
            wait = watch.at - now
            if wait <= 0 and watch.is_stopped and (cancel := watch.cancel) is not None:
                # The loop ends by itself, and cleans up; its thread is struck only if it does not.
                watch.cancel, watch.at = None, now + LOOP_GRACE_SECONDS
                with contextlib.suppress(RuntimeError):
                    cancel()
                wait = LOOP_GRACE_SECONDS
            if wait <= 0 and not _is_tender(thread, late=-wait):
                watch.fired = True
                _raise_in(thread, ctypes.py_object(watch.error))
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
                watch = _watches.pop(thread, None)
                # A strike that was sent and has not landed is taken back: the function had returned by then.
                if watch is None or watch.fired:
                    _raise_in(thread, None)
            return
        except (JobTimedOut, JobStopped):
            # It landed here, between the function's end and the lock.
            continue


def _raise_in(thread: int, error: ctypes.py_object[type[BaseException]] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)
