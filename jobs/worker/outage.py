"""Whether a database is away, as this process sees it: the breaker that keeps an outage from burning attempts.

1. An attempt fails with an error of the database, or one that it caused. `outcome_of` tries to connect anew: the
   error alone does not tell an outage from a query that is wrong.
2. Where that fails the breaker is open: the run is put off, and the job's name is noted.
3. `expected` puts off runs of noted jobs without trying them. Jobs that need no database go on.
4. Once a second one thread tries to connect. When it can, the breaker is closed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.policy.outcome import DatabaseAway

logger = logging.getLogger(__name__)

_PROBE_SECONDS = 1.0
# What a probe may wait for a server that does not even refuse, or for another's lock.
_PATIENCE_SECONDS = 2
# How many errors back the database may stand behind the one that was raised.
_DEEPEST = 10


class Breaker:
    """What is known of one database. Shared by the threads of a process."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._lock = threading.Lock()
        self._opened_at = 0.0
        self._probe_at = 0.0
        self._needed_by: set[str] = set()

    @property
    def is_open(self) -> bool:
        return self._opened_at > 0

    def has_failed(self, name: str) -> bool:
        """Whether the database is away, now that an attempt of the job `name` failed by it."""
        if not self._answers():
            with self._lock:
                self._needed_by.add(name)
            return True
        return False

    def is_needed_by(self, name: str) -> bool:
        """Whether the job has failed in this outage, and the outage goes on."""
        return self.is_open and name in self._needed_by and not self._answers()

    @property
    def seconds(self) -> float:
        """How long the outage has lasted."""
        return time.monotonic() - self._opened_at if self._opened_at else 0.0

    def _answers(self) -> bool:
        with self._lock:
            if self.is_open and time.monotonic() < self._probe_at:
                return False
            # The other threads go by what is known until this one knows more.
            self._probe_at = time.monotonic() + _PATIENCE_SECONDS + _PROBE_SECONDS
        problem = _problem(self._alias)
        with self._lock:
            self._probe_at = time.monotonic() + _PROBE_SECONDS
            self._tell(problem)
            if problem and not self._opened_at:
                self._opened_at = time.monotonic()
            if not problem:
                self._opened_at = 0.0
                self._needed_by.clear()
        return not problem

    def _tell(self, problem: str) -> None:
        facts = {"database": self._alias, "seconds": round(self.seconds, 1)}
        if problem and not self._opened_at:
            words = 'the database "%s" does not answer (%s); jobs that need it are put off, and burn no attempt'
            logger.error(words, self._alias, problem, extra=facts)
        if not problem and self._opened_at:
            logger.warning('the database "%s" answers again, after %.0f s', self._alias, self.seconds, extra=facts)


_breakers: dict[str, Breaker] = {}


def expected(name: str) -> DatabaseAway | None:
    """The outcome of an attempt of this job, where it is known beforehand. Never raises."""
    for alias, breaker in list(_breakers.items()):
        if breaker.is_needed_by(name):
            return _away(alias, breaker)
    return None


def outcome_of(error: BaseException, name: str) -> DatabaseAway | None:
    """`DatabaseAway` where an attempt of this job failed because a database cannot be reached. Never raises."""
    # An exception's `__class__`, which `isinstance` asks for, is the job's own code.
    if not any(issubclass(type(one), OperationalError | InterfaceError) for one in _chain(error)):
        return None
    for alias in connections:
        # Whoever called has a transaction open there, so it answers; and may hold the lock that a probe waits for.
        if not connections[alias].in_atomic_block and _breaker(alias).has_failed(name):
            return _away(alias, _breaker(alias), error)
    return None


def forget() -> None:
    """Close all breakers. For tests, and for a process that was just forked."""
    _breakers.clear()


def _breaker(alias: str) -> Breaker:
    return _breakers.setdefault(alias, Breaker(alias))


def _away(alias: str, breaker: Breaker, error: BaseException | None = None) -> DatabaseAway:
    return DatabaseAway(error or OperationalError(f'the database "{alias}" does not answer'), breaker.seconds)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, read past whatever its class makes of that."""
    following: BaseException | None = error
    for _ in range(_DEEPEST):
        if following is None:
            return
        yield following
        cause = _attribute(following, "__cause__")
        following = _attribute(following, "__context__") if cause is None else cause


def _attribute(error: BaseException, name: str) -> BaseException | None:
    found: BaseException | None = BaseException.__dict__[name].__get__(error)
    return found


def _problem(alias: str) -> str:
    """Why a new connection cannot be made, or cannot write, in a few words; empty where it can."""
    try:
        fresh = connections[alias].copy()
        _shorten_waits(fresh)
        raw = fresh.get_new_connection(fresh.get_connection_params())
        try:
            # SQLite always connects; what keeps a job from its work there is another's lock.
            cursor = raw.cursor()
            cursor.execute("BEGIN IMMEDIATE" if fresh.vendor == "sqlite" else "SELECT 1")
            raw.rollback()
        finally:
            raw.close()
    except Exception as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _shorten_waits(connection: BaseDatabaseWrapper) -> None:
    options: dict[str, Any] = dict(connection.settings_dict.get("OPTIONS") or {})
    limit = {"sqlite": "timeout", "postgresql": "connect_timeout", "mysql": "connect_timeout"}.get(connection.vendor)
    if limit is not None:
        options[limit] = _PATIENCE_SECONDS
    with contextlib.suppress(KeyError):
        # A pool would be shared, and hands out connections that it believes to live.
        del options["pool"]
    connection.settings_dict["OPTIONS"] = options
