"""How long figures are kept. Totals and cursors stay."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.metrics.spans import start_of_day, start_of_hour
from jobs.models import MetricDay, MetricHour, MetricMinute
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=14)
# 13 weeks and some days.
HOURS_KEPT = timedelta(days=100)
DAYS_KEPT = timedelta(days=731)


def prune() -> int:
    """Delete figures that are older than they are kept, in chunks. Returns how many rows they were."""
    return sum(delete_in_chunks(rows.order_by("pk")) for rows in _prunable())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return any(rows.exists() for rows in _prunable())


def _prunable() -> list[QuerySet[MetricMinute] | QuerySet[MetricHour] | QuerySet[MetricDay]]:
    now = timezone.now()
    # Whole hours and days: one that has lost a part is never summed up anew. And none that is not rolled up yet.
    return [
        MetricMinute.objects.filter(minute__lt=start_of_hour(now - KEPT), rolled=True),
        MetricHour.objects.filter(hour__lt=start_of_day(now - HOURS_KEPT)),
        MetricDay.objects.filter(day__lt=start_of_day(now - DAYS_KEPT)),
    ]
