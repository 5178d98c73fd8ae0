"""Keeps alive what this process holds in Redis for the length of a block: locks, and probes of circuits.

One thread for all of them. What is held is known by weak references, so that what a struck thread could not give back
is renewed no longer, and ends by itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from typing import Any, Protocol

from jobs.broker import lua
from jobs.broker.lua import Call
from jobs.errors import BrokerUnavailable

logger = logging.getLogger(__name__)

# While Redis is away, and the least that is slept.
_RETRY_SECONDS = 0.5
# With nothing to renew the thread ends, not at once: most blocks are short and come again.
_IDLE_SECONDS = 30.0


class Renewable(Protocol):
    """What is held. `renew_at` is a moment of the monotonic clock."""

    renew_at: float

    def renewal(self) -> Call:
        """The call that renews it."""
        ...

    def renewed(self, answer: Any, *, asked_at: float) -> bool:
        """Take the call's answer; False when it is held no longer."""
        ...


class _Renewals:
    """What one process holds. Only `keep` and `drop` are for other threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: weakref.WeakSet[Any] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def keep(self, held: Renewable) -> None:
        with self._changed:
            self._held.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs-renewals", daemon=True)
                self._thread.start()
            elif held.renew_at < self._wakes_at:
                self._changed.notify()

    def drop(self, held: Renewable) -> None:
        with self._changed:
            self._held.discard(held)

    def _work(self) -> None:
        idle_since = time.monotonic()
        while True:
            with self._changed:
                now = time.monotonic()
                idle_since = now if self._held else idle_since
                due_at = min((one.renew_at for one in self._held), default=idle_since + _IDLE_SECONDS)
                if not self._held and now >= due_at:
                    self._thread = None
                    return
                if due_at > now:
                    self._wakes_at = due_at
                    self._changed.wait(due_at - now)
                    continue
            self._renew_due()

    def _renew_due(self) -> None:
        # In a frame of its own: what `_work` remembered while it sleeps would never be given up.
        with self._changed:
            due = [one for one in self._held if one.renew_at <= time.monotonic()]
        try:
            self._renew(due)
        # A filter or a handler of the project's may raise, and all that is held would end with this thread.
        except Exception:
            for one in due:
                one.renew_at = time.monotonic() + _RETRY_SECONDS

    def _renew(self, due: list[Renewable]) -> None:
        asked_at = time.monotonic()
        answers: list[Any] = [None] * len(due)
        # Whoever holds it sees by the time that it was not renewed.
        with contextlib.suppress(BrokerUnavailable):
            answers = lua.answers_of([one.renewal() for one in due])
        for one, answer in zip(due, answers, strict=True):
            if answer is None or isinstance(answer, Exception):
                one.renew_at = time.monotonic() + _RETRY_SECONDS
            elif not one.renewed(answer, asked_at=asked_at):
                self.drop(one)


_renewals = _Renewals()


def keep(held: Renewable) -> None:
    """Renew it from now on, until it is dropped, or nobody has it any more."""
    _renewals.keep(held)


def drop(held: Renewable) -> None:
    """Renew it no longer."""
    _renewals.drop(held)


def _forget() -> None:
    """What the parent holds is not the forked child's, and its thread is not there."""
    global _renewals
    _renewals = _Renewals()


os.register_at_fork(after_in_child=_forget)
