"""Where one run is in Redis, and what goes on around it, as values. Looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

# Who stands further back is told so: to go through all of a long queue for one run costs too much.
COUNTED = 10_000


@dataclass(frozen=True)
class Listed:
    """A list and a run: `length` in all, `ahead` of it; None where it is not among the first 10,000."""

    length: int = 0
    ahead: int | None = None


@dataclass(frozen=True)
class Holder:
    """A run that has one of a limit's places."""

    run: str
    worker: str
    since: datetime | None = None


@dataclass(frozen=True)
class LimitNow:
    """A limit as one run meets it: `used` of `most` are taken; `seconds` is the window's length, None for at once.

    `most` is 0 where no job here has this limit any more. `free_at` is when a full window has its next place.
    """

    name: str
    used: int
    most: int
    seconds: float | None = None
    free_at: datetime | None = None
    holders: tuple[Holder, ...] = ()

    @property
    def is_full(self) -> bool:
        return self.most > 0 and self.used >= self.most


@dataclass(frozen=True)
class LaneNow:
    """Where a run stands in a lane. `fuse` is whose lane it is, `limits` are a limited one's. `ready` lanes of the
    queue take turns; one that no claim knows of is not `is_known`.
    """

    name: str
    listed: Listed
    is_known: bool = True
    is_parked: bool = False
    ready: int = 0
    fuse: int | None = None
    limits: tuple[LimitNow, ...] = ()


@dataclass(frozen=True)
class WorkersNow:
    """Live processes: how many, how many of them take nothing more or are at work, and the names of some."""

    live: int = 0
    quiet: int = 0
    busy: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parent:
    """A run of plain RQ's that another one waits for; `state` is RQ's word, None where it is gone."""

    run: str
    state: str | None


@dataclass(frozen=True)
class Whereabouts:
    """A run's place in Redis, and what goes on around it, at the moment `at` of the server's clock.

    `kind` is the type of its key. `status` is RQ's word for where it is. `ready_at` is since when it could start;
    `due_at` is what the scheduled set says. `lease_until` is how long whoever
    holds it is believed to live. `ticked_at` is when a supervisor last moved what is due.
    """

    at: datetime
    kind: str
    life: int = 0
    status: str = ""
    attempts: int = 0
    crashes: int = 0
    worker: str = ""
    job: str = ""
    queue_name: str = ""
    ready_at: datetime | None = None
    claimed_at: datetime | None = None
    due_at: datetime | None = None
    queue: Listed = field(default_factory=Listed)
    suspects: Listed = field(default_factory=Listed)
    laned: int = 0
    lane: LaneNow | None = None
    parents: tuple[Parent, ...] = ()
    is_held: bool = False
    lease_until: datetime | None = None
    is_stopping: bool = False
    is_compared: bool = True
    journal: int = 0
    journal_since: datetime | None = None
    has_recorder: bool = True
    ticked_at: datetime | None = None
    workers: WorkersNow = field(default_factory=WorkersNow)
    serving: WorkersNow = field(default_factory=WorkersNow)
