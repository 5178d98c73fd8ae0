"""How a worker works: what the command line says, as one value."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.policy import ordering


@dataclass(frozen=True)
class WorkerOptions:
    """Times are in seconds. `max_jobs` and `max_idle_time` end the worker; None means never.

    `weights` has one number above 0 for each queue; without them the queues are strictly in order.
    `supervisor` is the id of the process that started this one; only its processes are told.
    `is_alone` is for a process that runs suspects, one at a time and none in hand beside it.
    `max_memory` (bytes) and `max_jobs_per_child` replace a process between its jobs.
    """

    name: str
    queues: tuple[str, ...]
    weights: tuple[int, ...] = ()
    processes: int = 1
    concurrency: int = 10
    supervisor: str = ""
    is_alone: bool = False
    burst: bool = False
    max_jobs: int | None = None
    max_jobs_per_child: int | None = None
    max_memory: int | None = None
    max_idle_time: float | None = None
    shutdown_timeout: float = 25.0

    def queues_in_order(self) -> Sequence[str]:
        """The queues as the next claim goes over them."""
        if not self.weights:
            return self.queues
        return ordering.weighted(dict(zip(self.queues, self.weights, strict=True)), random.random)
