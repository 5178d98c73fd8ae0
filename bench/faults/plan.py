"""What will happen, drawn from a seed: the same seed gives the same jobs, times and victims. Does nothing itself."""

from __future__ import annotations

import random
from dataclasses import dataclass

SHORTEST_MS, LONGEST_MS = 5, 50
# Faults fall while there is work: the last one well before the expected end.
_UNDER_LOAD = 0.85


@dataclass(frozen=True)
class Fault:
    """`at` is in seconds after the workers started; `victim` is the number of a worker."""

    at: float
    victim: int


def job_ms(seed: int, key: int) -> int:
    """How long a job works."""
    return random.Random(f"{seed}/{key}").randint(SHORTEST_MS, LONGEST_MS)


def expected_seconds(jobs: int, *, at_once: int, overhead_ms: float) -> float:
    """How long an undisturbed fleet would need."""
    return jobs * ((SHORTEST_MS + LONGEST_MS) / 2 + overhead_ms) / 1000 / at_once


def faults(seed: int, *, count: int, workers: int, seconds: float) -> list[Fault]:
    """Faults at random times of the expected run, in order."""
    dice = random.Random(seed)
    times = sorted(dice.uniform(0, seconds * _UNDER_LOAD) for _ in range(count))
    return [Fault(at, dice.randrange(workers)) for at in times]
