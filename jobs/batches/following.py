"""What follows when members of batches have ended: their state, and their callbacks, each once.

1. Who changes the row of a member changes the counts with it, and marks the batch as ripe when something may follow.
2. `follow` locks a ripe batch, adds what its slices say, and asks `policy.batch` what follows.
3. It enqueues the callbacks and notes that they were told, in the transaction that takes the mark away.

So a callback is enqueued once, whoever dies in between. One that cannot be is noted as the batch's trouble and tried
again; it holds up neither other callbacks nor other batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from jobs import troubles
from jobs.batches import calling, cancelling
from jobs.batches.folding import fold
from jobs.models import Batch, Workflow
from jobs.models.batches import OPEN_BATCH_STATES, BatchState
from jobs.policy import batch as policy
from jobs.policy.batch import Standing

logger = logging.getLogger(__name__)

# Enqueues a callback, of this event at this time, or says why it cannot be.
Tell = Callable[[dict[str, Any], Batch, str, datetime], str]

_AT_ONCE = 100
# Up to which batch in trouble this process has tried, so that all have their turn.
_tried_up_to = 0


def follow(*, again: bool = True) -> int:
    """See to the batches that are ripe. Returns how many of them had what should follow; the others are tried again,
    unless `again` is false.

    Raises the database's errors only where it is away.
    """
    ripe = Batch.objects.filter(ripe=True).order_by("pk").values_list("pk", flat=True)
    done = sum([_guarded(pk) for pk in ripe.filter(trouble="")[:_AT_ONCE]])
    if again:
        # Those that cannot be helped must not keep the others from their turn.
        done += sum([_guarded(pk) for pk in _next_in_trouble(ripe.exclude(trouble=""))])
    return done


def standing_of(batch: Batch) -> Standing:
    """A batch's counts as the policy wants them."""
    within = Q(state__in=[*OPEN_BATCH_STATES])
    nested = Batch.objects.filter(within=batch).aggregate(
        open=Count("pk", filter=within),
        unwell=Count("pk", filter=~within & ~Q(state=BatchState.SUCCEEDED)),
        failed=Count("pk", filter=Q(state=BatchState.FAILED)),
        dead=Count("pk", filter=Q(death_told_at__isnull=False)),
    )
    return Standing(
        total=batch.total,
        succeeded=batch.succeeded,
        dead=batch.dead,
        discarded=batch.discarded,
        cancelled=batch.cancelled,
        is_sealed=batch.sealed_at is not None,
        is_cancelled=batch.cancelled_at is not None,
        nested_open=nested["open"],
        nested_unwell=nested["unwell"],
        nested_failed=nested["failed"],
        nested_dead=nested["dead"],
    )


def advance(batch: Batch, standing: Standing, *, tell: Tell) -> list[str]:
    """Set the state that the counts make, and tell what is due and was not told. Returns why some could not be."""
    now = timezone.now()
    batch.state = policy.state_of(standing)
    batch.ended_at = None if batch.is_open else batch.ended_at or now
    found = []
    for event in policy.due(standing):
        callback = getattr(batch, f"on_{event}")
        if getattr(batch, f"{event}_told_at"):
            continue
        if callback is not None and (trouble := tell(callback, batch, event, now)):
            found.append(trouble)
            continue
        setattr(batch, f"{event}_told_at", now)
    return found


def _next_in_trouble(ripe: QuerySet[Batch, int]) -> list[int]:
    """Some of these, each time the next."""
    global _tried_up_to
    found = list(ripe.filter(pk__gt=_tried_up_to)[:_AT_ONCE])
    if _tried_up_to and len(found) < _AT_ONCE:
        found += ripe.filter(pk__lte=_tried_up_to)[: _AT_ONCE - len(found)]
    _tried_up_to = found[-1] if found else 0
    return found


def _guarded(pk: int) -> bool:
    try:
        return _follow(pk)
    # One batch must not hold up the others.
    except Exception as error:
        if troubles.is_outage(error):
            raise
        trouble = troubles.named(error)
        # Its row may be what cannot be read.
        if Batch.objects.filter(pk=pk).exclude(trouble=trouble).update(trouble=trouble):
            logger.exception("what follows of batch %d cannot be seen to", pk, extra={"batch": pk})
        return False


def _follow(pk: int) -> bool:
    with transaction.atomic(using=router.db_for_write(Batch)):
        batch = _locked(pk)
        if batch is None or not batch.ripe:
            return False
        if fold(batch) and batch.cancelled_at:
            # They were added while it was cancelled.
            cancelling.ask(batch)
        before = batch.state, batch.death_told_at
        found = advance(batch, standing_of(batch), tell=_enqueue)
        batch.trouble = troubles.together(found, before=batch.trouble, whose=f"batch {pk}", batch=pk)
        batch.ripe = bool(found)
        batch.save()
        if batch.within_id and (batch.state, batch.death_told_at) != before:
            Batch.objects.filter(pk=batch.within_id).update(ripe=True)
        if batch.workflow_id and batch.state != before:
            Workflow.objects.filter(pk=batch.workflow_id).update(ripe_at=timezone.now())
    return not found


def _locked(pk: int) -> Batch | None:
    """The batch, locked together with the one that it is within: always the outer one first.

    None also while somebody holds the workflow whose step it is, which everybody locks before batches: the batch stays
    ripe, and waits for nobody.
    """
    outer, workflow = Batch.objects.filter(pk=pk).values_list("within", "workflow").first() or (None, None)
    if workflow and not Workflow.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=workflow).exists():
        return None
    # Not their keys: whoever adds a slice, or a batch within, looks at those as it commits.
    rows = Batch.objects.select_for_update(no_key=True).filter(pk__in=[pk, *filter(None, [outer])]).order_by("pk")
    return next((row for row in rows if row.pk == pk), None)


def _enqueue(callback: dict[str, Any], batch: Batch, event: str, now: datetime) -> str:
    return troubles.of(f"on_{event} cannot be enqueued", lambda: calling.enqueue(callback, batch, event, now))
