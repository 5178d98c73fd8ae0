"""Cancelling a batch: its row says so at once, and a job of the app's own takes back what waits, some at a time."""

from __future__ import annotations

import uuid

from django.db import router, transaction
from django.utils import timezone

from jobs import audit, conf, pending, registry
from jobs.batches.folding import fold
from jobs.errors import BadBatch
from jobs.models import Batch, JobRun
from jobs.models.batches import OPEN_BATCH_STATES
from jobs.runs import CANCELLABLE

JOB = "jobs.cancel_batch"
_AT_ONCE = 500


def cancel(batch: Batch, *, actor: str, reason: str = "", address: str = "") -> None:
    """Take back the members that wait, also of the batches within it, and let none be added any more.

    What runs goes on to its end; then the batch has ended, as cancelled. Its row says so at once, and a job takes back
    the members. Raises `BadBatch` when it has ended, or was cancelled before.
    """
    mark(batch.pk, actor=actor, reason=reason, address=address)


def mark(pk: int, *, actor: str, reason: str = "", address: str = "") -> None:
    """See `cancel`."""
    with transaction.atomic(using=router.db_for_write(Batch)):
        batch = Batch.objects.select_for_update(no_key=True).get(pk=pk)
        if not batch.is_open or batch.cancelled_at:
            was = "was cancelled already" if batch.cancelled_at else f"has ended ({batch.get_state_display()})"
            raise BadBatch(f"Batch {pk} {was}: there is nothing to cancel.")
        before = batch.state
        fold(batch)
        batch.cancelled_at = timezone.now()
        batch.sealed_at = batch.sealed_at or batch.cancelled_at
        batch.why = f"{actor}: {reason}"[:500] if reason else f"by {actor}"[:500]
        batch.ripe = True
        batch.save(update_fields=["total", "cancelled_at", "sealed_at", "why", "ripe"])
        audit.record(
            actor=actor,
            action="batch cancel",
            target=f"batch {pk}",
            reason=reason,
            count=max(0, batch.total - batch.ended),
            before={"state": before},
            after={"state": "cancelled"},
            address=address,
        )
        ask(batch)


def ask(batch: Batch) -> None:
    """Ask for the run that takes back what waits, once for each number of members."""
    # By name, for it is defined above us.
    registry.get(JOB).using(queue=conf.bulk_queue()).enqueue(batch.pk, batch.total)


def waiting(pk: int, after: str | None) -> list[uuid.UUID]:
    """The next members that wait, in the order of their ids."""
    found = JobRun.objects.filter(batch=pk, state__in=CANCELLABLE)
    if after:
        found = found.filter(pk__gt=uuid.UUID(after))
    return list(found.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE])


def take_back(pk: int, keys: list[uuid.UUID]) -> int:
    """Cancel these members. Returns how many had not started. Raises `BrokerUnavailable`."""
    batch = Batch.objects.get(pk=pk)
    tally = pending.cancel_all(keys, actor=f"batch {pk}", reason=batch.why, filter={"batch": pk})
    return tally.done


def take_back_nested(pk: int) -> None:
    """Cancel the batches within this one."""
    nested = Batch.objects.filter(within=pk, state__in=OPEN_BATCH_STATES, cancelled_at=None)
    for inner in nested.order_by("pk").values_list("pk", flat=True):
        try:
            mark(inner, actor=f"batch {pk}", reason="it is within a batch that was cancelled")
        except BadBatch:
            continue
