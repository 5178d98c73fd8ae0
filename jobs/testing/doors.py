"""Lets something else than the real door take what is enqueued, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs import registry
from jobs.registry import Door


@contextmanager
def opened(door: Door) -> Iterator[None]:
    """Hand every enqueue of this process, whatever the thread, to `door`."""
    before = registry.open_door(door)
    try:
        yield
    finally:
        # Nothing is enqueued before Django is set up, and this package cannot be imported before.
        assert before is not None
        registry.open_door(before)
