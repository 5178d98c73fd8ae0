"""What follows when runs have ended and that was recorded, beyond the runs themselves. Whoever records calls it."""

from __future__ import annotations

from jobs import batches, workflows


def follow(*, again: bool = True) -> int:
    """See to all that is ripe. Returns how much was. `again` is whether what could not be done before is tried too."""
    # In this order: what a batch came to is what its workflow goes by.
    return batches.follow(again=again) + workflows.follow()
