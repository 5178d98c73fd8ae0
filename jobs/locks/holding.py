"""Blocks that one at a time is in."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import secrets
import socket
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, NoReturn

from jobs import renewals
from jobs.broker import locks as server
from jobs.broker.locks import Held, Holder, Taken
from jobs.broker.lua import Call
from jobs.context import current_run_or_none
from jobs.errors import (
    BadOptions,
    BrokerUnavailable,
    DiscardJob,
    HandBackJob,
    JobsError,
    LockHeld,
    LockLost,
    LockNotAsked,
    LockPutOff,
)
from jobs.policy.circuit import check_name

logger = logging.getLogger(__name__)

# What follows when another one holds the lock.
WhenHeld = Literal["put off", "raise", "skip"]

_WAYS = ("put off", "raise", "skip")
_SHORTEST_LIFE_SECONDS = 0.5
_LONGEST_SECONDS = 86_400.0
# However long it may live, whoever looks is to see soon that its holder does not.
_RARELY_RENEWED_SECONDS = 10.0
# How long a run waits that was put off: a holder that renews gives no hint when it ends.
_PUT_OFF_SECONDS = 5.0
# Between two looks of one who waits: twice as long each time.
_FIRST_LOOK_SECONDS = 0.01
_LAST_LOOK_SECONDS = 0.25


class Lock:
    """One block's hold on a lock. Made by `lock`."""

    def __init__(self, name: str, *, ttl: float, wait: float, held: WhenHeld | None) -> None:
        self.name = check_name(name, of="lock")
        _check_seconds("ttl", ttl, least=_SHORTEST_LIFE_SECONDS)
        _check_seconds("wait", wait, least=0)
        if held is not None and held not in _WAYS:
            raise BadOptions(f"lock {name}: held={held!r}: pass one of {', '.join(map(repr, _WAYS))}")
        self.fence = 0
        self.renew_at = 0.0
        self._ttl, self._wait, self._held = float(ttl), float(wait), held
        self._token = ""
        self._process = 0
        self._until = 0.0
        self._is_refused = False

    def __enter__(self) -> Lock:
        self._check_free()
        token = secrets.token_hex(8)
        try:
            taken = self._take(token)
        except BaseException:
            # Nobody knows whether it was taken: it is ours to let go, or it ends by itself.
            with contextlib.suppress(BrokerUnavailable):
                server.release(self.name, token=token)
            raise
        if isinstance(taken, Held):
            self._contend(taken)
        _entered.set((*_entered.get(), self.name))
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: TracebackType | None) -> None:
        _entered.set(_without(_entered.get(), self.name))
        token, self._token = self._token, ""
        renewals.drop(self)
        # A job that forks leaves the block twice; the lock is the parent's.
        if self._process != os.getpid() or self._let_go(token):
            return
        self._is_refused = True
        if error is None:
            raise LockLost(self._tell_lost())
        logger.error("%s", self._tell_lost(), extra={"lock": self.name})

    @property
    def lost(self) -> bool:
        """Whether another one may hold it by now."""
        return self._is_refused or (self._token != "" and time.monotonic() >= self._until)

    def check(self) -> None:
        """Ask Redis, before what cannot be taken back. Raises `LockLost` when another one may hold it by now.

        While Redis cannot say, what this process knows holds.
        """
        if self._token and not self.lost:
            asked_at = time.monotonic()
            with contextlib.suppress(BrokerUnavailable):
                self._note(server.renew(self.name, token=self._token, life_seconds=self._ttl), asked_at=asked_at)
        if self.lost:
            raise LockLost(self._tell_lost())

    def __repr__(self) -> str:
        return f"<Lock {self.name}>"

    def renewal(self) -> Call:
        return server.renewal(self.name, token=self._token, life_seconds=self._ttl)

    def renewed(self, answer: Any, *, asked_at: float) -> bool:
        return bool(self._token) and self._note(server.is_done(answer), asked_at=asked_at)

    def _note(self, is_ours: bool, *, asked_at: float) -> bool:
        """Remember what Redis said; a loss is told once, and is for good."""
        if self._is_refused:
            return False
        if is_ours:
            self._live_from(asked_at)
            return True
        self._is_refused = True
        logger.error("%s", self._tell_lost(), extra={"lock": self.name})
        return False

    def _check_free(self) -> None:
        if self._token or self.name in _entered.get():
            raise JobsError(
                f"The lock {self.name} is held by this very block, which would wait for itself. "
                "Take it once, where the outermost block begins."
            )

    def _take(self, token: str) -> Taken | Held:
        """Take it, if it comes free in time."""
        until = time.monotonic() + self._wait
        pause = _FIRST_LOOK_SECONDS
        while True:
            asked_at = time.monotonic()
            taken = self._ask(token)
            if isinstance(taken, Taken):
                self.fence, self._token, self._process, self._is_refused = taken.fence, token, os.getpid(), False
                self._live_from(asked_at)
                renewals.keep(self)
                return taken
            left = until - time.monotonic()
            if left <= 0:
                return taken
            _check_not_stopping()
            # So that those who wait do not look at one moment.
            time.sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311
            pause = min(2 * pause, _LAST_LOOK_SECONDS)

    def _ask(self, token: str) -> Taken | Held:
        try:
            return server.acquire(self.name, token=token, life_seconds=self._ttl, holder=_ourselves())
        except BrokerUnavailable as error:
            if current_run_or_none() is None or self._held in ("raise", "skip"):
                raise
            raise LockNotAsked(self.name, _PUT_OFF_SECONDS) from error

    def _contend(self, held: Held) -> NoReturn:
        in_job = current_run_or_none() is not None
        if self._held == "skip" and in_job:
            raise DiscardJob(f"lock {self.name} is held")
        if self._held == "put off" or (self._held is None and in_job):
            raise LockPutOff(self.name, min(max(1.0, held.seconds_left), _PUT_OFF_SECONDS))
        raise LockHeld(f"The lock {self.name} is held by {held.holder}. Try again later, or pass wait=…")

    def _live_from(self, moment: float) -> None:
        # From before it was asked for: the server's count began later.
        self._until = moment + self._ttl
        self.renew_at = moment + min(self._ttl / 3, _RARELY_RENEWED_SECONDS)

    def _let_go(self, token: str) -> bool:
        try:
            return server.release(self.name, token=token)
        except BrokerUnavailable as error:
            logger.warning("the lock %s is left to end by itself: %s", self.name, error, extra={"lock": self.name})
            return not self._is_refused and time.monotonic() < self._until

    def _tell_lost(self) -> str:
        return (
            f"The lock {self.name} was lost: it was not renewed for {self._ttl:g} s, Redis forgot it, or somebody "
            "released it. What was done since may have been done by two."
        )


def lock(name: str, *, ttl: float = 30.0, wait: float = 0.0, held: WhenHeld | None = None) -> Lock:
    """A block that one at a time is in, over all processes and hosts.

        with lock("order:42") as held:
            ...

    `ttl` is how many seconds it lives without being renewed, which it is while the block lasts. `wait` is how many
    seconds to wait for it, in this thread. What follows when another one has it still is `held`:

    - `"put off"`: the run runs again later, and burns no attempt. What is usual in a job.
    - `"raise"`: `LockHeld`, which counts as a failure where a job lets it pass. What is usual elsewhere.
    - `"skip"`: the run ends quietly, as by `DiscardJob`. Elsewhere, `LockHeld`.

    Raises `BadOptions` for what cannot be; `BrokerUnavailable` when Redis cannot say, and in a job that is put off;
    `LockLost` at the end of a block that lost it.
    """
    return Lock(name, ttl=ttl, wait=wait, held=held)


# The locks of the blocks that this thread or task is in.
_entered: ContextVar[tuple[str, ...]] = ContextVar("jobs_locks", default=())


def _ourselves() -> Holder:
    run = current_run_or_none()
    host, process = socket.gethostname(), os.getpid()
    return Holder(host, process) if run is None else Holder(host, process, run.worker, run.name, str(run.id))


def _check_not_stopping() -> None:
    run = current_run_or_none()
    if run is not None and run.stopping():
        raise HandBackJob


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(one for one in names if one != name)


def _check_seconds(word: str, seconds: object, *, least: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not least <= seconds <= _LONGEST_SECONDS:
        raise BadOptions(f"{word}={seconds!r}: pass seconds from {least:g} to {_LONGEST_SECONDS:.0f} (a day)")
