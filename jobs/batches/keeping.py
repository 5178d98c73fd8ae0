"""What nobody looks at: batches that are not filled to their end, late members of cancelled ones, and old ones."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from jobs.batches import cancelling, checking
from jobs.models import Batch, BatchSlice, JobRun
from jobs.models.batches import OPEN_BATCH_STATES, BatchState
from jobs.models.pruning import delete_in_chunks
from jobs.models.runs import PENDING_STATES

logger = logging.getLogger(__name__)

KEPT = timedelta(days=90)
# Whoever fills a batch adds something within this time, or is gone.
FORGOTTEN_AFTER = timedelta(minutes=30)
ACTOR = "batch monitor"
_AT_ONCE = 100
_TROUBLE = "Nobody has added to it for {minutes:.0f} min, and it is not filled: fill it with its key, or cancel it"


def look_after() -> int:
    """Tell of the batches that nobody goes on to fill, and see to what was added while a batch was cancelled, and to
    ends that old code recorded and did not count.

    Returns how many are told of anew.
    """
    _see_to_cancelled()
    _see_to_uncounted()
    count = 0
    for batch in _forgotten():
        trouble = _TROUBLE.format(minutes=FORGOTTEN_AFTER.total_seconds() / 60)
        if Batch.objects.filter(pk=batch.pk, sealed_at=None).update(trouble=trouble):
            logger.error("batch %d (%s): %s", batch.pk, batch.name, trouble, extra={"batch": batch.pk})
            count += 1
    return count


def prune() -> int:
    """Delete batches that ended 90 days ago, with their slices; members keep their own time. Returns how many."""
    old = _prunable().order_by("pk")
    # A batch of a million has thousands of them.
    delete_in_chunks(BatchSlice.objects.filter(batch__in=old.order_by()).order_by("pk"))
    return delete_in_chunks(old)


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _forgotten() -> QuerySet[Batch]:
    since = timezone.now() - FORGOTTEN_AFTER
    recent = BatchSlice.objects.filter(batch=OuterRef("pk"), created_at__gte=since)
    nested = Batch.objects.filter(within=OuterRef("pk"), state=BatchState.FILLING)
    filling = Batch.objects.filter(
        state=BatchState.FILLING, sealed_at=None, created_at__lt=since, trouble="", workflow=None
    )
    return filling.filter(~Exists(recent), ~Exists(nested)).order_by("pk")[:_AT_ONCE]


def _see_to_cancelled() -> None:
    late = BatchSlice.objects.filter(folded=False, batch__cancelled_at__isnull=False)
    Batch.objects.filter(pk__in=late.values("batch"), ripe=False).update(ripe=True)
    cancelled = Batch.objects.filter(state__in=OPEN_BATCH_STATES, cancelled_at__isnull=False)
    nested = Batch.objects.filter(within=OuterRef("pk"), state__in=OPEN_BATCH_STATES, cancelled_at=None)
    for outer in cancelled.filter(Exists(nested)).values_list("pk", flat=True):
        cancelling.take_back_nested(outer)


def _see_to_uncounted() -> None:
    """Count again where all members have ended, and the counts say that some have not."""
    pending = JobRun.objects.filter(batch=OuterRef("pk"), state__in=PENDING_STATES)
    ended = F("succeeded") + F("dead") + F("discarded") + F("cancelled")
    short = Batch.objects.filter(state__in=OPEN_BATCH_STATES, ripe=False, sealed_at__isnull=False, total__gt=ended)
    for batch in short.filter(~Exists(pending)).order_by("pk")[:_AT_ONCE]:
        if checking.repair(batch, actor=ACTOR, reason="its members have ended, and were not counted"):
            logger.warning("batch %d was counted again", batch.pk, extra={"batch": batch.pk})


def _prunable() -> QuerySet[Batch]:
    since = timezone.now() - KEPT
    # Those of workflows go with these. How one ended that is within another is asked for as long as that one is there.
    return Batch.objects.filter(ended_at__lt=since, workflow=None).filter(
        Q(within=None) | Q(within__ended_at__lt=since)
    )
