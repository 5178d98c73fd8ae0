"""How long incidents are kept."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import Incident
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=90)


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _old().exists()


def prune() -> int:
    """Delete incidents that have been over for more than 90 days, with their notices. Returns how many."""
    return delete_in_chunks(_old())


def _old() -> QuerySet[Incident]:
    return Incident.objects.filter(closed_at__lt=timezone.now() - KEPT).order_by("pk")
