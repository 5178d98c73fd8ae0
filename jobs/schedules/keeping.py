"""How long ticks are kept."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from jobs.models import ScheduleTick
from jobs.models.pruning import delete_in_chunks
from jobs.models.schedules import TickState

KEPT = timedelta(days=30)
# A yearly schedule shows its last one, however long ago that was.
_OPEN = (TickState.WAITING,)


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _old().exists()


def prune() -> int:
    """Delete ticks of more than 30 days, but for the last of each schedule and those that wait. Returns how many."""
    return delete_in_chunks(_old())


def _old() -> QuerySet[ScheduleTick]:
    later = ScheduleTick.objects.filter(schedule=OuterRef("schedule"), due_at__gt=OuterRef("due_at"))
    old = ScheduleTick.objects.filter(ticked_at__lt=timezone.now() - KEPT).exclude(state__in=_OPEN)
    return old.filter(Exists(later)).order_by("pk")
