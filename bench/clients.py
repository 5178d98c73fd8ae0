"""What the client of every target does when it is asked. Knows none of them, and needs the standard library only."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.ledger import note

BULK = 1000


@dataclass(frozen=True)
class Client:
    """How a peer is asked for jobs: `rest(ms)` and `tell(key)` enqueue one, `rest_many(count, ms)` in bulk.

    `rest_many` is None where the peer knows no such call: its users ask for one after the other.
    """

    rest: Callable[[int], Any]
    tell: Callable[[int], Any]
    rest_many: Callable[[int, int], Any] | None = None

    def fill(self, jobs: int, ms: int) -> None:
        """Enqueue many jobs as fast as it can be done."""
        if self.rest_many is None:
            for _ in range(jobs):
                self.rest(ms)
            return
        for start in range(0, jobs, BULK):
            self.rest_many(min(BULK, jobs - start), ms)

    def rates(self, jobs: int) -> dict[str, float]:
        """Jobs per second, one by one and in bulk."""
        self.rest(0)
        return {
            "one_per_s": per_second(jobs, lambda: [self.rest(0) for _ in range(jobs)]),
            "bulk_per_s": per_second(10 * jobs, lambda: self.fill(10 * jobs, 0)),
        }


def send(enqueue: Callable[[int], Any], jobs: int) -> None:
    """Enqueue one job after another, with pauses in which the worker falls idle; say when."""
    pauses = random.Random(0)
    for key in range(jobs):
        time.sleep(pauses.uniform(0.02, 0.04))
        note("sent", key)
        enqueue(key)
        note("acked", key)


def per_second(count: int, work: Callable[[], Any]) -> float:
    """The rate at which `work` does `count` things."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def rest(ms: int) -> None:
    """What the measured jobs do."""
    if ms:
        time.sleep(ms / 1000)
