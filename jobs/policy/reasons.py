"""What may keep a run from running, and what is known of it, as values. `policy.why` decides by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jobs.policy.whereabouts import Whereabouts


class Why(StrEnum):
    """What may keep a run from running, in the order in which it is asked for."""

    REDIS_AWAY = "redis-away"
    NOT_PUSHED = "not-pushed"
    RETRY_LATER = "retry-later"
    LOCK = "lock"
    CIRCUIT = "circuit"
    UNKNOWN_JOB = "unknown-job"
    DATABASE_AWAY = "database-away"
    PUT_OFF = "put-off"
    DUE_LATER = "due-later"
    PAUSED = "paused"
    NOT_COMPARED = "not-compared"
    JOURNAL_FULL = "journal-full"
    NO_WORKER = "no-worker"
    QUEUE_UNSERVED = "queue-unserved"
    QUIET = "workers-quiet"
    FUSE = "fuse"
    ISOLATED = "isolated"
    PARENT_DEAD = "parent-dead"
    PARENT = "parent"
    SLOT = "slot"
    RATE_LIMIT = "rate-limit"
    LOST = "lost"
    AHEAD = "ahead"
    NEXT = "next"
    RECORDER_BEHIND = "recorder-behind"
    STOPPING = "stopping"
    LEASE_ENDED = "lease-ended"
    RUNNING = "running"
    ENDED_UNRECORDED = "ended-unrecorded"
    UNIQUE = "unique"
    DEAD = "dead"
    ENDED = "ended"


@dataclass(frozen=True)
class RunFacts:
    """What a run's row says; of one without a row, what its hash in Redis does. `has_row` tells them apart.

    `outcome` and `verdict` are of its latest attempt, which ended at `tried_at`.
    """

    state: str
    queue: str
    created_at: datetime
    due_at: datetime | None = None
    pushed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    max_attempts: int = 1
    worker: str = ""
    error_class: str = ""
    error_message: str = ""
    outcome: str = ""
    verdict: str = ""
    tried_at: datetime | None = None
    has_row: bool = True


@dataclass(frozen=True)
class Keeper:
    """Somebody or something that keeps runs from starting: a pause, a fuse, a circuit, a lock.

    `phase` is the fuse's action or the circuit's phase, `run` the run that holds the lock.
    """

    name: str
    actor: str = ""
    reason: str = ""
    phase: str = ""
    run: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that is known. `place` is None where Redis does not answer. `per_second` is how fast the queue's runs start.

    `is_known` says whether the release that asks has the job, `equal` is the equal run of a unique job that is pending
    in its place, and `repair` how long it takes at the most until a run that is in no place is put back.
    """

    run: RunFacts
    now: datetime
    place: Whereabouts | None = None
    pause: Keeper | None = None
    fuse: Keeper | None = None
    circuit: Keeper | None = None
    lock: Keeper | None = None
    per_second: float | None = None
    is_known: bool = True
    equal: str = ""
    journal_limit: int = 1_000_000
    repair: timedelta = timedelta(minutes=3)


@dataclass(frozen=True)
class Reason:
    """One thing that keeps the run: what, its evidence by name, since when, and until when at the latest."""

    why: Why
    facts: dict[str, Any] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
