"""What follows of a batch's counts. Counts nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """A batch's counts. `total` is all members there are.

    Of the batches that stand within it, `nested_open` have not ended, `nested_unwell` have ended otherwise than well,
    `nested_failed` of these with something dead in them, and in `nested_dead` something has died at some time.
    """

    total: int = 0
    succeeded: int = 0
    dead: int = 0
    discarded: int = 0
    cancelled: int = 0
    is_sealed: bool = False
    is_cancelled: bool = False
    nested_open: int = 0
    nested_unwell: int = 0
    nested_failed: int = 0
    nested_dead: int = 0

    @property
    def pending(self) -> int:
        return self.total - self.succeeded - self.dead - self.discarded - self.cancelled

    @property
    def is_complete(self) -> bool:
        """Whether all have ended and no more may come: only members add to what is sealed."""
        return self.is_sealed and self.pending <= 0 and not self.nested_open

    @property
    def is_well(self) -> bool:
        """Whether all have succeeded, or found nothing to do, and nobody cancelled it."""
        return self.is_complete and not (self.is_cancelled or self.dead or self.cancelled or self.nested_unwell)


def state_of(standing: Standing) -> str:
    """The state that the counts make: filling, running, succeeded, failed or cancelled.

    >>> state_of(Standing(total=3, succeeded=2, is_sealed=True))
    'running'
    >>> state_of(Standing(total=3, succeeded=2, dead=1, is_sealed=True))
    'failed'
    >>> state_of(Standing(total=3, succeeded=2, dead=1, is_sealed=True, is_cancelled=True))
    'cancelled'
    """
    if not standing.is_sealed:
        return "filling"
    if not standing.is_complete:
        return "running"
    if standing.is_well:
        return "succeeded"
    has_failed = standing.dead or standing.nested_failed
    return "failed" if has_failed and not standing.is_cancelled else "cancelled"


def due(standing: Standing) -> Iterator[str]:
    """The callbacks that these counts call for, in their order: death, complete, success."""
    if standing.dead or standing.nested_dead:
        yield "death"
    if standing.is_complete:
        yield "complete"
    if standing.is_well:
        yield "success"


def is_exact(counted: Mapping[str, int], found: Mapping[str, int]) -> bool:
    """Whether a batch's counts can be those of its members. Members that ended may have no row any more; those that
    are "pending" have one.

    >>> is_exact({"pending": 1, "succeeded": 2}, {"pending": 1, "succeeded": 1})
    True
    >>> is_exact({"pending": 0, "succeeded": 2}, {"pending": 1, "succeeded": 1})
    False
    """
    ends = {*counted, *found} - {"pending"}
    if counted.get("pending", 0) != found.get("pending", 0):
        return False
    return all(found.get(end, 0) <= counted.get(end, 0) for end in ends)
