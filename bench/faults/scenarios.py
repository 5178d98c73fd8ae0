"""Which scenarios there are: how much each does, who can play, and what must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.faults import failover, failpoint_sweep, redis_restart, redis_wiped, stop_storm, worker_kill
from bench.faults.trial import Result, Settings

BOTH = ("ours", "stock")
OURS = ("ours",)
_NOTHING_LOST = "lost, unexpected, duplicate_effects, failed, stuck 0; every fault hits"


@dataclass(frozen=True)
class Scenario:
    """`profiles` say how many jobs and how many faults; one that has no `quick` runs by name only."""

    run: Callable[[Settings], Result]
    profiles: Mapping[str, tuple[int, int]]
    targets: tuple[str, ...]
    invariant: str


SCENARIOS: dict[str, Scenario] = {
    "worker-kill": Scenario(
        worker_kill.run,
        {"quick": (1_000, 6), "full": (10_000, 30)},
        BOTH,
        f"{_NOTHING_LOST}; recovery_p95_s <= 30",
    ),
    "stop-storm": Scenario(
        stop_storm.run,
        {"quick": (600, 9), "full": (3_000, 60)},
        BOTH,
        f"{_NOTHING_LOST}; no exit longer than the shutdown timeout and 2 s",
    ),
    "failpoints": Scenario(
        failpoint_sweep.run,
        {"quick": (40, 3), "full": (200, 50)},
        OURS,
        f"{_NOTHING_LOST}, at every place; as many deaths at each as planned",
    ),
    "redis-restart": Scenario(
        redis_restart.run,
        {"quick": (120, 3), "full": (2_000, 10)},
        BOTH,
        f"{_NOTHING_LOST}; no process of a worker ends",
    ),
    "redis-wiped": Scenario(
        redis_wiped.run, {"quick": (400, 2), "full": (10_000, 2)}, OURS, f"{_NOTHING_LOST}; rebuilt within 120 s"
    ),
    "failover": Scenario(
        failover.run, {"quick": (300, 1), "full": (2_000, 1)}, OURS, f"{_NOTHING_LOST}; no process of a worker ends"
    ),
}
