"""Lets something else than the real door take what is enqueued, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs import registry
from jobs.models import JobRun
from jobs.policy import uniqueness
from jobs.registry import Door, Job
from jobs.uniques.conflicts import already_pending


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


def stands(job: Job[Any, Any], equal: JobRun, *, begun: bool = False) -> bool:
    """Whether the equal run stands for one that is asked for; False where its place is taken.

    Raises `AlreadyPending` where the job chose that.
    """
    assert job.options.unique is not None
    step = uniqueness.step(job.options.unique, "started" if begun else "waiting")
    if step == "raise":
        raise already_pending(equal)
    return step == "give"
