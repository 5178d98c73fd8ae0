"""Which scenarios there are: how much each does, who can play, and what must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.faults import (
    bad_payload,
    clock_skew,
    database_down,
    deaths,
    due_jobs,
    failover,
    failpoint_sweep,
    redis_restart,
    redis_wiped,
    soak,
    stop_storm,
    transactions,
    worker_kill,
)
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
        BOTH,
        f"{_NOTHING_LOST}, at every place; as many deaths at each as planned",
    ),
    "process-death": Scenario(
        deaths.process_death,
        {"quick": (300, 0), "full": (1_000, 0)},
        OURS,
        f"{_NOTHING_LOST}; no run above its attempts, each retry after its wait",
    ),
    "poison": Scenario(
        deaths.poison,
        {"quick": (200, 0), "full": (1_000, 0)},
        OURS,
        "lost, unexpected, duplicate_effects, stuck 0; one run dead, after 3 deaths alone, as what killed its worker",
    ),
    "crash-loop": Scenario(
        deaths.crash_loop,
        {"quick": (200, 0), "full": (2_000, 0)},
        OURS,
        f"{_NOTHING_LOST}; at most one start in a second",
    ),
    "transactions": Scenario(
        transactions.run,
        {"quick": (150, 0), "full": (1_000, 0)},
        OURS,
        f"{_NOTHING_LOST}; a job exists and ran if and only if its row was committed",
    ),
    "db-down": Scenario(
        database_down.run,
        {"quick": (400, 1), "full": (2_000, 1)},
        OURS,
        f"{_NOTHING_LOST}; attempts burnt no more than twice as many as run at once; no process of a worker ends",
    ),
    "herd": Scenario(
        due_jobs.herd,
        {"quick": (3_000, 40), "full": (50_000, 40)},
        OURS,
        "lost, duplicate_effects, failed, stuck 0; p95 of the wait in another queue <= 2 s",
    ),
    "scheduler-death": Scenario(
        due_jobs.scheduler_death,
        {"quick": (4_000, 1), "full": (10_000, 1)},
        OURS,
        f"{_NOTHING_LOST}; none moved twice, all in their queue within 15 s",
    ),
    "bad-payload": Scenario(
        bad_payload.run,
        {"quick": (100, 0), "full": (1_000, 0)},
        OURS,
        f"{_NOTHING_LOST}; each bad one refused, buried, put off or in quarantine; no process of a worker ends",
    ),
    "clock-skew": Scenario(
        clock_skew.run,
        {"quick": (200, 0), "full": (1_000, 0)},
        OURS,
        f"{_NOTHING_LOST}; no run taken back from a worker that lives; what is due starts within 2 s",
    ),
    "soak": Scenario(
        soak.run,
        {"soak": (1_000_000, 0)},
        OURS,
        "all end; the workers' memory levels off; each key has a life or is capped",
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
