"""Adds to a batch's total what its slices say. Decides nothing."""

from __future__ import annotations

from jobs.models import Batch, BatchSlice

_AT_ONCE = 1000


def fold(batch: Batch) -> int:
    """Add to a locked batch's total what its slices say. Returns by how much it grew."""
    before = batch.total
    fresh = BatchSlice.objects.filter(batch=batch, folded=False).order_by("pk")
    # Members that were added one by one have a slice each.
    while found := dict(fresh.values_list("pk", "members")[:_AT_ONCE]):
        batch.total += sum(found.values())
        BatchSlice.objects.filter(pk__in=found).update(folded=True)
    return batch.total - before
