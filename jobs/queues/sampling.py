"""How long each queue was, kept minute by minute for 14 days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs import conf
from jobs.broker import inspect
from jobs.models import QueueSample
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=14)


def sample() -> None:
    """Write how long each queue is now, once a minute. Raises `BrokerUnavailable` or a database error."""
    minute = timezone.now().replace(second=0, microsecond=0)
    names = conf.queue_names()
    if QueueSample.objects.filter(minute=minute, queue__in=names).count() == len(names):
        return
    waits = inspect.oldest_now(names)
    rows = [
        QueueSample(queue=now.name, minute=minute, depth=now.depth, wait_ms=round(waits.get(now.name, 0.0) * 1000))
        for now in inspect.queues_now(names)
    ]
    QueueSample.objects.bulk_create(rows, ignore_conflicts=True)


def depths(queue: str, *, since: datetime) -> list[tuple[datetime, int, float]]:
    """(minute, depth, seconds that the oldest waited) of each minute that was sampled since then, the first first."""
    rows = QueueSample.objects.filter(queue=queue, minute__gte=since).order_by("minute")
    return [(minute, depth, wait / 1000) for minute, depth, wait in rows.values_list("minute", "depth", "wait_ms")]


def prune() -> int:
    """Delete samples that are older than 14 days. Returns how many rows they were."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[QueueSample]:
    return QueueSample.objects.filter(minute__lt=timezone.now() - KEPT)
