"""Takes the numbers of one scrape: totals and counts from the rows, the rest from Redis. Changes neither."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import Error
from django.db.models import QuerySet

from jobs import circuits, queues, relay, workers
from jobs.broker import inspect
from jobs.broker.connection import impatient
from jobs.broker.inspect import JournalNow
from jobs.errors import BrokerUnavailable
from jobs.models import DeadJob, JobRun, RunState
from jobs.queues import Standing
from jobs.totals import Total, totals

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Rows are counted up to here: further, a count would cost more than a scrape may.
COUNTED_MOST = 100_000
# More circuits than anybody looks at; their names may hold a part of an argument.
CIRCUITS_MOST = 100

# What each queue tells, by the attribute of its standing.
_OF_QUEUES = {
    "depth": "depth",
    "oldest_wait_seconds": "oldest_wait_seconds",
    "running": "running",
    "scheduled": "scheduled",
    "workers": "workers",
    "threads": "threads",
    "in_per_minute": "in_per_minute",
    "out_per_minute": "out_per_minute",
    "drain_seconds": "eta_seconds",
    "threads_needed": "threads_needed",
    "workers_needed": "workers_needed",
}


@dataclass(frozen=True)
class Numbers:
    """None, or nothing, is what nobody knows at present."""

    database_up: bool = False
    redis_up: bool = False
    totals: Sequence[Total] = ()
    dead_jobs: int | None = None
    retrying: int | None = None
    unpushed: int | None = None
    queues: Sequence[Standing] = ()
    processes: int | None = None
    threads: int | None = None
    busy: int | None = None
    journal: JournalNow | None = None
    circuits: dict[str, str] = field(default_factory=dict)

    def gauges(self) -> list[tuple[str, float]]:
        """What is known of all queues together, by name."""
        found: dict[str, float | None] = {
            "dead_jobs": self.dead_jobs,
            "retrying_runs": self.retrying,
            "unpushed_runs": self.unpushed,
            "worker_processes": self.processes,
            "worker_threads": self.threads,
            "worker_threads_busy": self.busy,
            "journal_length": self.journal.length if self.journal else None,
            "recorder_lag_seconds": self.journal.lag_seconds if self.journal else None,
        }
        return [(name, value) for name, value in found.items() if value is not None]

    def queue_gauges(self) -> list[tuple[str, str, float]]:
        """What is known of each queue: its name, the number's and the number."""
        named = [
            (queue.name, name, getattr(queue, attribute))
            for name, attribute in _OF_QUEUES.items()
            for queue in self.queues
        ]
        paused = [(queue.name, "paused", float(queue.pause is not None)) for queue in self.queues]
        return [*((queue, name, value) for queue, name, value in named if value is not None), *paused]


def take() -> Numbers:
    """The numbers as they are now. Never raises what the database or Redis brings about."""
    with impatient():
        return Numbers(**_of_rows(), **_of_redis())


def _of_rows() -> dict[str, Any]:
    found = _unless_away(
        "the database",
        lambda: {
            "totals": totals(),
            "dead_jobs": _count(DeadJob.objects.filter(resolution="")),
            "retrying": _count(JobRun.objects.filter(state=RunState.RETRYING)),
            "unpushed": relay.backlog().count,
        },
    )
    return {"database_up": found is not None, **(found or {})}


def _of_redis() -> dict[str, Any]:
    found = _unless_away("Redis", _live)
    return {"redis_up": found is not None, **(found or {})}


def _live() -> dict[str, Any]:
    # First, and by itself: a server that is away is found out here.
    journal = inspect.journal_now()
    living = [one for one in workers.live() if one.kind == "child"]
    return {
        "journal": journal,
        "processes": len(living),
        "threads": sum(one.threads for one in living),
        "busy": sum(one.busy for one in living),
        "circuits": {one.name: one.phase for one in circuits.statuses()[:CIRCUITS_MOST]},
        "queues": _unless_away("the database", lambda: queues.standings().queues) or (),
    }


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by().values("pk")[:COUNTED_MOST].count()


def _unless_away(what: str, ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except (BrokerUnavailable, Error) as error:
        logger.warning("metrics leave out what %s knows: %s", what, error)
        return None
