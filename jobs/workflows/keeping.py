"""How long workflows are kept that have ended."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Workflow
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=90)


def prune() -> int:
    """Delete workflows that ended more than 90 days ago, with their steps and batches. Returns how many."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[Workflow]:
    # One that runs again has no end any more.
    return Workflow.objects.filter(ended_at__lt=timezone.now() - KEPT)
