"""Ends attempts that pass their time limit, by raising `JobTimedOut` in their thread.

The exception may only strike while the job's own function is armed: anywhere else it would hit the thread
pool or leave a lock held. `_firing` is what keeps a strike from landing after `disarm`.
"""

from __future__ import annotations

import ctypes
import threading
import time

from jobs.errors import JobTimedOut

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
            if watch.at <= now:
                watch.fired = True
                _raise_in(thread, ctypes.py_object(JobTimedOut))
            elif next_in is None or watch.at - now < next_in:
                next_in = watch.at - now
    return next_in


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
