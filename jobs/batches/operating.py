"""The verbs for batches that people use, beside `cancel`. Each leaves an audit row."""

from __future__ import annotations

from jobs import bulk
from jobs.models import Batch, BulkAction
from jobs.models.bulk import BulkVerb
from jobs.policy.ramp import Ramp


def retry_failed(
    batch: Batch,
    *,
    actor: str,
    reason: str = "",
    address: str = "",
    ramp: Ramp | None = None,
    limit: int | None = None,
    key: str = "",
) -> tuple[BulkAction, bool]:
    """Retry the dead members, also of the batches within it, by a bulk action: see `bulk.ask`.

    The batch goes on when the first is retried. A callback that was told is not told again.
    """
    chosen = bulk.Selection(words={"batches": tree(batch)})
    words = {"actor": actor, "reason": reason, "address": address}
    return bulk.ask(BulkVerb.REQUEUE, chosen, ramp=ramp, limit=limit, key=key, **words)


def tree(batch: Batch) -> list[int]:
    """The numbers of the batch and of all batches within it, and within those."""
    found, ring = [batch.pk], [batch.pk]
    while ring := list(Batch.objects.filter(within__in=ring).order_by("pk").values_list("pk", flat=True)):
        found += ring
    return found
