"""The process that remembers: stores the journal, pushes what was left behind, sees to what follows.

It is apart from the processes that run jobs, so that a job which hogs the interpreter does not delay what is shown.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, ProgrammingError, close_old_connections, connections

from jobs import alerts, conf, consequences, members, reconciling, recorder
from jobs.broker import journal
from jobs.policy.backoff import exponential
from jobs.relay import relay
from jobs.worker import chores
from jobs.worker.chores import OUTAGES, is_outage
from jobs.worker.stopping import on_stop
from jobs.worker.ticker import Ticker
from jobs.worker.watcher import Watcher

logger = logging.getLogger(__name__)

_BLOCK_SECONDS = 1.0
_RELAY_SECONDS = 1.0
# How late it may be that what another process changed has consequences; this one's own have them at once.
_FOLLOW_SECONDS = 1.0
_LEADS_SECONDS = 10.0
# How often to look whether claims wait for a comparison of Redis with the rows.
_EPOCH_SECONDS = 0.2
# Some fifty transactions a second want a connection that stays, whatever CONN_MAX_AGE says for requests.
_RENEW_SECONDS = 60.0
# What ends within this time of the last transaction is stored in the next one: many small ones cost more.
_GATHER_SECONDS = 0.02
# Looking through a backlog that only waits for workers may take this part of the time, no more.
_RELAY_SHARE = 0.2
# How long a stopping process goes on storing what is there.
LAST_WORDS_SECONDS = 10.0
# How long it then waits for the threads that tick and watch.
_LAST_TICK_SECONDS = 2.0
# How often the same entries may fail before they are looked at one by one.
_PATIENCE = 3
_retry_wait = exponential(first=0.2, cap=5.0)


class Recording:
    """Loops until SIGTERM, then stores what is left and returns."""

    def __init__(self) -> None:
        self._owner = f"{conf.host()}/{os.getpid()}-{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._failures = 0
        self._unforeseen = 0
        self._relay_failures = 0
        self._leading = False
        self._lead_again_at = 0.0
        self._epoch_at = 0.0
        self._renew_at = 0.0
        self._relay_at = 0.0
        self._follow_at = self._follow_again_at = 0.0
        self._ticker = Ticker()
        self._watcher = Watcher()
        self._chores = chores.all_chores()

    def run(self) -> None:
        on_stop(self._on_stop)
        if conf.get().SCHEDULES:
            self._ticker.start()
        if alerts.is_on():
            self._watcher.start()
        while not self._stopping.is_set():
            self.turn()
        self._ticker.stop()
        self._watcher.stop()
        self._guarded(self._finish)
        self._ticker.join(_LAST_TICK_SECONDS)
        self._watcher.join(_LAST_TICK_SECONDS)
        connections.close_all()

    def turn(self) -> None:
        """Go round the loop once. Never raises; after a failure it waits a little."""
        self._guarded(self._step)

    def _step(self) -> None:
        self._renew_connections()
        if self._unforeseen >= _PATIENCE:
            recorder.pass_by()
            self._unforeseen = 0
        if not self._lead():
            self._stopping.wait(_BLOCK_SECONDS)
            return
        self._reconcile_if_needed()
        self._record()
        now = time.monotonic()
        if members.take_changed() or now >= self._follow_at:
            self._follow(now)
        if now >= self._relay_at:
            self._relay(now)
        for chore in self._chores:
            chore.see_to(now)

    def _renew_connections(self) -> None:
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + _RENEW_SECONDS
            close_old_connections()

    def _record(self) -> None:
        started = time.monotonic()
        if recorder.record(block_seconds=max(0.0, min(_BLOCK_SECONDS, self._relay_at - started))):
            spent = time.monotonic() - started
            self._stopping.wait(max(0.0, _GATHER_SECONDS - spent))

    def _relay(self, now: float) -> None:
        """Push what was left behind. Its failures are its own: what happened is recorded all the same."""
        try:
            # Any that were marked mean that there may be more.
            marked = relay()
            spent = time.monotonic() - now
            self._relay_at = now + (spent / _RELAY_SHARE if marked else _RELAY_SECONDS)
            self._relay_failures = 0
        except Exception as error:
            self._relay_failures += 1
            self._relay_at = now + _RELAY_SECONDS + _retry_wait(self._relay_failures)
            log = logger.error if self._relay_failures == 1 else logger.debug
            log("what was left behind is not pushed for now: %s", error, exc_info=not is_outage(error))

    def _follow(self, now: float) -> None:
        """See to what follows of what was recorded. Its failures are its own, as the relay's are."""
        self._follow_at = now + _FOLLOW_SECONDS
        # What could not be done before is not tried at each turn.
        again = now >= self._follow_again_at
        if again:
            self._follow_again_at = now + _FOLLOW_SECONDS
        try:
            if consequences.follow(again=again):
                # What followed may have more follow, and there may be more of it.
                self._follow_at = now
        except Exception as error:
            logger.error("what follows of ended runs waits: %s", error, exc_info=not is_outage(error))

    def _lead(self) -> bool:
        """Whether this process is the one that records; a new leader first clears up after the old one."""
        now = time.monotonic()
        if self._leading and now < self._lead_again_at:
            return True
        led, self._leading = self._leading, journal.take_over(self._owner, seconds=_LEADS_SECONDS)
        self._lead_again_at = now + _LEADS_SECONDS / 3
        if self._leading and not led:
            self._take_over()
        return self._leading

    def _take_over(self) -> None:
        if reconciling.is_needed(thoroughly=True):
            # Before anything else: on a server that is not what it was, what lies behind the cursor may not be stored.
            self._epoch_at = 0.0
        else:
            recorder.catch_up()

    def _reconcile_if_needed(self) -> None:
        now = time.monotonic()
        if now >= self._epoch_at:
            self._epoch_at = now + _EPOCH_SECONDS
            if reconciling.is_needed():
                reconciling.reconcile(self._owner, proceed=self._goes_on)

    def _goes_on(self) -> bool:
        """Stay the leader in the midst of long work; False when this process is to stop."""
        now = time.monotonic()
        if now >= self._lead_again_at:
            self._lead_again_at = now + _LEADS_SECONDS / 3
            journal.take_over(self._owner, seconds=_LEADS_SECONDS)
        return not self._stopping.is_set()

    def _finish(self) -> None:
        end = time.monotonic() + LAST_WORDS_SECONDS
        self._relay(time.monotonic())
        while time.monotonic() < end and recorder.record():
            pass
        self._follow(time.monotonic())
        journal.step_down(self._owner)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
            if self._failures:
                logger.warning("what happened is recorded again", extra={"failures": self._failures})
            self._failures = self._unforeseen = 0
        except OUTAGES as error:
            self._failures += 1
            log = logger.error if self._failures == 1 else logger.debug
            log("what happened is not recorded for now: %s%s", error, _cure(error), extra={"failures": self._failures})
            self._leading = False
            with contextlib.suppress(DatabaseError, InterfaceError):
                connections.close_all()
            self._stopping.wait(_retry_wait(self._failures))
        # Whatever an entry brings about, recording goes on.
        except Exception:
            self._unforeseen += 1
            facts = {"position": _position(), "failures": self._unforeseen}
            logger.exception("what follows %s in the journal cannot be recorded", facts["position"], extra=facts)
            self._stopping.wait(_retry_wait(self._unforeseen))

    def _on_stop(self, signum: int, frame: object) -> None:
        self._stopping.set()


def _cure(error: Exception) -> str:
    """What to do against a database that lacks our tables; nothing against other errors."""
    # SQLite has no class of its own for it.
    is_unmigrated = isinstance(error, ProgrammingError) or str(error).startswith("no such ")
    return '. Run "manage.py migrate", if that was not done.' if is_unmigrated else ""


def _position() -> str:
    try:
        return recorder.position()
    except (DatabaseError, InterfaceError):
        return "(unknown)"
