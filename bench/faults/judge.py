"""Counts what became of every job. Reads the ledger and what the queue says of the rest; touches nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.faults.fleet import Hit
from bench.ledger import Record
from bench.telling import percentile

# Promised of ours after a SIGKILL: a lease of 15 s, and as long again to notice and to start.
RECOVERY_LIMIT_SECONDS = 30.0
# What must not be, unless a scenario leaves it open.
ZERO = ("lost", "unexpected", "duplicate_effects", "failed", "stuck")
# Who notes its own death, or is killed after a look at the clock, goes on for a moment.
_LAST_MOMENT_SECONDS = 0.5
# A record of a fault is about no job, and what is below stands beside the trial.
NO_KEY = -1


@dataclass(frozen=True)
class Bookkeeping:
    """What the queue itself says, by the run's id. Compared with the ledger, never trusted as the result.

    `runnable` wait somewhere from which they can still run; `failed` ended badly and stand where a person finds them.
    `effects` are the keys whose effect the database holds, None for a target whose effects are in the ledger alone.
    """

    runnable: Collection[str]
    failed: Collection[str]
    absorbed: int = 0
    effects: Collection[int] | None = None


@dataclass(frozen=True)
class Counters:
    """The counters of the fault plan. Times are in seconds."""

    hits: int
    planned: int
    jobs: int
    attempted: int
    acknowledged: int
    ok: int
    lost: int
    unexpected: int
    duplicate_runs: int
    duplicate_effects: int
    recovered: int
    failed: int
    failed_unrun: int
    stuck: int
    absorbed: int
    interrupted: int
    recovery_p50_s: float
    recovery_p95_s: float
    recovery_max_s: float

    def broken(self, *, may: Collection[str] = (), recovery_limit: float = RECOVERY_LIMIT_SECONDS) -> list[str]:
        """The promises that this result breaks, but for those about counters in `may`."""
        broken = [f"{name} is {getattr(self, name)}, not 0" for name in ZERO if getattr(self, name) and name not in may]
        if self.attempted < self.jobs:
            broken.append(f"the client enqueued {self.attempted} of {self.jobs} jobs")
        if self.hits < self.planned:
            broken.append(f"{self.hits} of {self.planned} planned faults hit")
        if self.recovery_p95_s > recovery_limit:
            broken.append(f"p95 of recovery is {self.recovery_p95_s:.1f} s, more than {recovery_limit:.0f} s")
        return broken


@dataclass
class _Life:
    """What the ledger says of one job."""

    attempted: bool = False
    run_id: str | None = None
    effects: int = 0
    starts: list[Record] = field(default_factory=list)
    ends: set[tuple[int, object]] = field(default_factory=set)
    failures: set[tuple[int, object]] = field(default_factory=set)


def judge(records: Iterable[Record], books: Bookkeeping, hits: Sequence[Hit], *, planned: int, jobs: int) -> Counters:
    """What all this amounts to."""
    lives = _lives(records)
    effects = {key for key, life in lives.items() if life.effects} | set(books.effects or ())
    acked = {key: life.run_id for key, life in lives.items() if life.run_id is not None}
    places = Counter(_place(run_id, books) for key, run_id in acked.items() if key not in effects)
    waits = _recoveries(lives, hits)
    return Counters(
        hits=len(hits),
        planned=planned,
        jobs=jobs,
        attempted=sum(life.attempted for life in lives.values()),
        acknowledged=len(acked),
        ok=len(acked.keys() & effects),
        lost=places["lost"],
        unexpected=sum(not life.attempted for life in lives.values()) + len(effects - lives.keys()),
        duplicate_runs=sum(_unexplained_starts(life, hits) for life in lives.values()),
        duplicate_effects=sum(life.effects > 1 for life in lives.values()),
        recovered=sum(key in effects and key not in acked for key, life in lives.items() if life.attempted),
        failed=places["failed"],
        failed_unrun=sum(run_id in books.failed and not lives[key].starts for key, run_id in acked.items()),
        stuck=places["runnable"],
        absorbed=books.absorbed,
        interrupted=len(waits),
        recovery_p50_s=round(percentile(waits, 50), 2),
        recovery_p95_s=round(percentile(waits, 95), 2),
        recovery_max_s=round(max(waits, default=0.0), 2),
    )


def told_deaths(records: Iterable[Record]) -> list[Hit]:
    """Processes that told of their end themselves, just before it: of what, and who went with them."""
    return [Hit(record.at, tuple(record.fact[1])) for record in records if record.kind == "fault"]


def _lives(records: Iterable[Record]) -> dict[int, _Life]:
    lives: dict[int, _Life] = defaultdict(_Life)
    for record in records:
        if record.key <= NO_KEY:
            continue
        life = lives[record.key]
        if record.kind == "attempted":
            life.attempted = True
        elif record.kind == "acked":
            life.run_id = record.fact
        elif record.kind == "start":
            life.starts.append(record)
        elif record.kind == "effect":
            life.effects += 1
        elif record.kind == "end":
            life.ends.add((record.pid, record.fact))
        elif record.kind == "failed":
            life.failures.add((record.pid, record.fact))
    return lives


def _place(run_id: str, books: Bookkeeping) -> str:
    if run_id in books.runnable:
        return "runnable"
    return "failed" if run_id in books.failed else "lost"


def _unexplained_starts(life: _Life, hits: Sequence[Hit]) -> int:
    """Starts beyond the first that follow an attempt which had reached its end, or neither failed nor was cut off."""
    tries = [start for start in life.starts[:-1] if (start.pid, start.fact) not in life.failures]
    return sum(_was_cut_off(first, life, hits) is None for first in tries)


def _recoveries(lives: Mapping[int, _Life], hits: Sequence[Hit]) -> list[float]:
    """Seconds from each kill that cut an attempt off to the next start of its job."""
    waits = []
    for life in lives.values():
        for first, following in zip(life.starts, life.starts[1:], strict=False):
            hit = _was_cut_off(first, life, hits)
            if hit is not None:
                # Who is asked to stop hands back before it is gone.
                waits.append(max(0.0, following.at - hit.at))
    return waits


def _was_cut_off(start: Record, life: _Life, hits: Sequence[Hit]) -> Hit | None:
    if (start.pid, start.fact) in life.ends:
        return None
    return next((hit for hit in hits if start.pid in hit.pids and hit.at + _LAST_MOMENT_SECONDS >= start.at), None)
