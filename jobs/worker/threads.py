"""A few threads that run attempts and put what became of them where the child finds it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from django.db import connections

from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.worker import lifecycle


class Threads:
    """Daemon threads, so that a job which never returns does not keep the process from ending."""

    def __init__(self, count: int, *, worker: str, ended: Callable[[], None]) -> None:
        self._inbox: SimpleQueue[Claim | None] = SimpleQueue()
        self._outbox: deque[Settlement] = deque()
        self._ended = ended
        self._worker = worker
        self._threads = [threading.Thread(target=self._work, name=f"job-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def hand_out(self, claim: Claim) -> None:
        """Let a free thread run this claim."""
        self._inbox.put(claim)

    def collect(self) -> list[Settlement]:
        """What has ended since the last call."""
        settlements = []
        while self._outbox:
            settlements.append(self._outbox.popleft())
        return settlements

    def stop(self) -> None:
        """Let every thread end after what it is doing."""
        for _ in self._threads:
            self._inbox.put(None)

    def _work(self) -> None:
        while (claim := self._inbox.get()) is not None:
            self._outbox.append(lifecycle.attempt(claim, worker=self._worker))
            self._ended()
        connections.close_all()
