"""What is kept of workers in rows: how each process last beat, and when each release was first seen."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.broker import fleet
from jobs.broker.fleet import Fleet, ProcessNow
from jobs.models import WorkerProcess, WorkerRelease
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=14)
_KEPT_FACTS = (
    *("host", "supervisor", "kind", "pid", "queues", "threads", "busy", "state", "release", "rss", "done", "failed"),
    *("asked", "asked_at", "started_at", "seen_at"),
)


def note() -> None:
    """Store how each process last beat. Raises `BrokerUnavailable` or a database error."""
    seen = fleet.look()
    rows = [_row(one, one.seen_at, seen) for one in seen.processes if one.seen_at is not None]
    if rows:
        WorkerProcess.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["name"], update_fields=_KEPT_FACTS
        )
    _note_releases({one.release for one in seen.processes if one.release and not one.is_stale}, seen.at)


def releases(since: datetime) -> list[tuple[str, datetime]]:
    """(release, first seen) of each that workers ran for the first time since then, the first first: deploys."""
    rows = WorkerRelease.objects.filter(first_seen_at__gte=since).order_by("first_seen_at")
    return list(rows.values_list("release", "first_seen_at"))


def prune() -> int:
    """Delete what was last seen more than 14 days ago. Returns how many rows they were."""
    return sum(delete_in_chunks(rows.order_by("pk")) for rows in _prunable())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return any(rows.exists() for rows in _prunable())


def _prunable() -> tuple[QuerySet[WorkerProcess], QuerySet[WorkerRelease]]:
    before = timezone.now() - KEPT
    return WorkerProcess.objects.filter(seen_at__lt=before), WorkerRelease.objects.filter(last_seen_at__lt=before)


def _note_releases(names: set[str], at: datetime) -> None:
    rows = [WorkerRelease(release=name[:100], first_seen_at=at, last_seen_at=at) for name in sorted(names)]
    if rows:
        WorkerRelease.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["release"], update_fields=["last_seen_at"]
        )


def _row(one: ProcessNow, seen_at: datetime, seen: Fleet) -> WorkerProcess:
    supervisor = next((each for each in seen.supervisors if each.id == one.supervisor), None)
    return WorkerProcess(
        name=one.name[:200],
        host=one.host[:200],
        supervisor=one.supervisor[:250],
        kind=one.kind[:10],
        pid=one.pid,
        queues=list(one.queues),
        threads=one.threads,
        busy=one.busy,
        state=one.state[:20],
        release=one.release[:100],
        rss=one.rss,
        done=one.done,
        failed=one.failed,
        asked=supervisor.asked if supervisor else "",
        asked_at=supervisor.asked_at if supervisor else None,
        started_at=one.started_at,
        seen_at=seen_at,
    )
