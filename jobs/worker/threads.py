"""A few threads that run attempts and put what became of them where the child finds it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Set
from queue import Empty, SimpleQueue
from typing import NamedTuple

from django.db import connections

from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.policy.outcome import Raised
from jobs.worker import deadlines, lifecycle
from jobs.worker.pulse import Pulse
from jobs.worker.tokens import number_of

# What cannot even be judged is not tried again at once.
_LAST_RESORT_SECONDS = 30.0


class Running(NamedTuple):
    """A claim that a thread runs, and since when on the monotonic clock."""

    claim: Claim
    since: float


class Threads:
    """Daemon threads, so that a job which never returns does not keep the process from ending."""

    def __init__(self, count: int, *, worker: str, pulse: Pulse, ended: Callable[[], None]) -> None:
        # While more than this wait for a thread, `ended` need not be called.
        self.enough = 0
        self._pulse = pulse
        self._told = False
        self._inbox: SimpleQueue[Claim | None] = SimpleQueue()
        self._outbox: deque[Settlement] = deque()
        self._ended = ended
        self._worker = worker
        self._process = os.getpid()
        self._at_work: dict[int, Running] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"job-{n}", daemon=True) for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def hand_out(self, claim: Claim) -> None:
        """Let a free thread run this claim."""
        self._inbox.put(claim)

    def collect(self) -> list[Settlement]:
        """What has ended since the last call."""
        # Before the look: what ends from here on is told of anew.
        self._told = False
        settlements = []
        while self._outbox:
            settlements.append(self._outbox.popleft())
        return settlements

    @property
    def waiting(self) -> int:
        """How many claims no thread has begun."""
        return self._inbox.qsize()

    def take_back(self) -> list[Claim]:
        """The claims that no thread has begun, in their order; none will."""
        claims = []
        with contextlib.suppress(Empty):
            while True:
                claim = self._inbox.get_nowait()
                if claim is not None:
                    claims.append(claim)
        return claims

    def at_work(self) -> list[Running]:
        """What the threads run now."""
        return list(self._at_work.values())

    def stuck(self, seconds: float) -> list[Claim]:
        """The claims whose time limit struck and that have not ended within `seconds` of it."""
        threads = deadlines.ignored_for(seconds)
        return [running.claim for thread, running in list(self._at_work.items()) if thread in threads]

    def stop_attempts(self, tokens: Set[str], *, grace: float) -> None:
        """Raise `JobStopped`, after `grace` seconds, in the attempts of these claims, and in no other."""
        for thread, running in list(self._at_work.items()):
            watch = deadlines.watch_of(thread)
            # Looked at after the watch was taken: a thread that has gone on by now has another one.
            if watch is not None and running.claim.token in tokens and self._at_work.get(thread) is running:
                watch.stop(grace=grace)

    def stop(self) -> None:
        """Let every thread end after what it is doing."""
        for _ in self._threads:
            self._inbox.put(None)

    def _work(self, number: int) -> None:
        thread = threading.get_ident()
        while (claim := self._inbox.get()) is not None:
            # From here on it may be what ends this process.
            self._pulse.begin(number, number_of(claim.token))
            self._at_work[thread] = Running(claim, time.monotonic())
            settlement = self._attempt(claim)
            if os.getpid() != self._process:
                # The job forked and let its copy return: only the original may settle.
                os._exit(0)
            self._at_work.pop(thread, None)
            self._outbox.append(settlement)
            if not self._told and self._inbox.qsize() <= self.enough:
                self._told = True
                self._ended()
        connections.close_all()

    def _attempt(self, claim: Claim) -> Settlement:
        """Run it and say what follows. Whatever fails in what ought never to fail, the run is let go of, and the
        thread goes on."""
        try:
            return lifecycle.attempt(claim, worker=self._worker)
        except BaseException as error:
            failure = error
        lifecycle.log_failure(claim, failure, "%s could not be run as it should be")
        try:
            return lifecycle.conclude(claim, Raised(failure), worker=self._worker, run_ms=0)
        except BaseException as error:
            lifecycle.log_failure(claim, error, "how %s ended cannot be told, and it runs again")
        # The claim counted this attempt, so that the end is no further away than before.
        return Settlement(claim, "later", wait_seconds=_LAST_RESORT_SECONDS)
