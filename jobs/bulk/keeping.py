"""How long bulk actions are kept that are over."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import BulkAction
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=90)


def prune() -> int:
    """Delete bulk actions that have been over for 90 days; the audit goes on telling of them. Returns how many."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[BulkAction]:
    # One that is paused has no end yet.
    return BulkAction.objects.filter(ended_at__lt=timezone.now() - KEPT)
