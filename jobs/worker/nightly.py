"""Asks for the clean-up: each night, and at once where there are too many dead jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

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
# Where something ends beside the runs, by what it is called where it is counted.
_ROOMS: dict[str, Any] = {
    "alerts": alerts,
    "batches": batches,
    "bulk actions": bulk,
    "causes": causes,
    "effects": effects,
    "emails": emails,
    "fuses": fuses,
    "holds": holds,
    "figures": metrics,
    "queue samples": queues,
    "ticks": schedules,
    "workers": workers,
    "workflows": workflows,
}


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
    return retention.is_anything_prunable() or bool(prunable_beside())


def prune_beside() -> dict[str, int]:
    """Remove what has ended beside the runs. Returns how many, by what they are."""
    return {name: room.prune() for name, room in _ROOMS.items()}


def prunable_beside() -> list[str]:
    """Of what `prune_beside` would remove some."""
    return [name for name, room in _ROOMS.items() if room.is_anything_prunable()]


def _was_asked(since: datetime) -> bool:
    return JobRun.objects.filter(name=_JOB, created_at__gte=since).exists()
