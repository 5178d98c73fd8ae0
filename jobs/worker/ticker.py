"""The thread of a recording process that ticks: asks for the runs of schedules, and lets rows follow the code.

It waits for no leadership, no journal and no Redis. Two at once do no harm, so every recording process has one.
"""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from jobs import schedules
from jobs.policy.backoff import exponential

logger = logging.getLogger(__name__)

_RENEW_SECONDS = 60.0
_OUTAGES = (DatabaseError, InterfaceError)
_retry_wait = exponential(first=0.2, cap=5.0)


class Ticker:
    """Runs in a thread of its own until told to stop. Never raises; after a failure it waits a little."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        # A thread that hangs in a database which does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._failures = 0
        self._follow_at = 0.0
        self._renew_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits for that."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait for its end, if it was started."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def turn(self) -> float:
        """Look once. Returns the seconds until it should look again."""
        try:
            self._renew_connections()
            self._follow_code()
            wait = schedules.tick()
        except Exception as error:
            return self._failed(error)
        if self._failures:
            logger.warning("schedules are looked at again", extra={"failures": self._failures})
        self._failures = 0
        return wait

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self.turn()
        connections.close_all()

    def _follow_code(self) -> None:
        """Let rows follow the code. Whatever keeps them from it, what is due is asked for all the same."""
        now = time.monotonic()
        if now < self._follow_at:
            return
        # First, so that a failure there does not come back at each turn.
        self._follow_at = now + schedules.ALIVE_SECONDS
        try:
            schedules.follow_code()
        except _OUTAGES:
            self._follow_at = now
            raise
        except Exception:
            logger.exception("schedules do not follow the code for now")

    def _renew_connections(self) -> None:
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + _RENEW_SECONDS
            close_old_connections()

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        log = logger.error if self._failures == 1 else logger.debug
        is_outage = isinstance(error, _OUTAGES)
        log(
            "schedules are not looked at for now: %s", error, exc_info=not is_outage, extra={"failures": self._failures}
        )
        if is_outage:
            connections.close_all()
        return _retry_wait(self._failures)
