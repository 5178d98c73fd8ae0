"""Asks for the clean-up: each night, and at once where there are too many dead jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

from jobs import (
    alerts,
    batches,
    bulk,
    causes,
    effects,
    emails,
    fuses,
    metrics,
    queues,
    registry,
    retention,
    schedules,
    workers,
    workflows,
)
from jobs.models import JobRun
from jobs.uniques import holds

_AT = time_of_day(3, 0, tzinfo=UTC)
_JOB = "jobs.prune_runs"
_ROOMS = (
    retention,
    alerts,
    batches,
    bulk,
    causes,
    effects,
    emails,
    fuses,
    holds,
    metrics,
    queues,
    schedules,
    workers,
    workflows,
)


class Nightly:
    """What a process looks at now and then."""

    def __init__(self) -> None:
        self._dead_jobs = retention.Watch()

    def look(self) -> None:
        self._dead_jobs.look()
        now = datetime.now(UTC)
        ask(now)
        ask_for_room(now)


def ask(now: datetime) -> None:
    """Enqueue the nightly clean-up once a day, after three in the morning UTC, if there is anything to clean up."""
    since = datetime.combine(now.date(), _AT)
    if now >= since and is_anything_prunable() and not _was_asked(since):
        registry.get(_JOB).enqueue(now.date().isoformat())


def ask_for_room(now: datetime) -> None:
    """Enqueue a clean-up at once where there are too many dead jobs, at most once in an hour."""
    if retention.is_beyond() and not _was_asked(now - timedelta(hours=1)):
        registry.get(_JOB).enqueue(f"{now:%Y-%m-%dT%H}")


def is_anything_prunable() -> bool:
    """Whether the clean-up would remove anything."""
    return any(room.is_anything_prunable() for room in _ROOMS)


def _was_asked(since: datetime) -> bool:
    return JobRun.objects.filter(name=_JOB, created_at__gte=since).exists()
