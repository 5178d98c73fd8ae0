"""An attempt at a job that iterates: item after item, from where the attempt before it came to.

1. The keeper says how far the run is, and the job's `iterates` gives what follows.
2. The function is called with each item. When it is done, its checkpoint is kept, before anything else happens.
3. When the run should stop, or its time slice is over, it hands itself back, and goes on later.

So an attempt that dies anywhere leaves one item at the most that was done and is not known to be.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

from jobs import registry
from jobs.checkpoints import Checkpoint, Keeper
from jobs.context import CurrentRun, current_run
from jobs.errors import BadOptions, BrokerUnavailable, HandBackJob
from jobs.registry import Job
from jobs.worker.item_count import ItemCount

# Long enough that going on costs nothing, short enough that what waits behind it gets its turn.
SLICE_SECONDS = 300.0
# What waits gets its turn meanwhile: a second, or a tenth of a slice that is shorter than ten.
_PAUSE_SECONDS, _PAUSE_SHARE = 1.0, 0.1
_RECONNECT_SECONDS = 1.0


class SliceOver(HandBackJob):
    """The run has had its time, and goes on in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("its time slice is over")
        self.seconds = seconds


def iterate(job: Job[Any, Any], bound: inspect.BoundArguments, keeper: Keeper) -> int:
    """Call the job's function with each item that is left. Returns how many are done in all.

    Raises `HandBackJob` when it goes on later, and what the function raises: then the next attempt begins with that
    item.
    """
    bound.apply_defaults()
    run = current_run()
    slice_seconds = _slice_seconds(job, run)
    until = time.monotonic() + slice_seconds
    checkpoint = keeper.load()
    count = ItemCount(job, bound, run, checkpoint)
    assert job.options.iterates is not None
    pairs = job.options.iterates(*bound.args, **bound.kwargs, cursor=checkpoint.cursor)
    try:
        with closing(_checked(pairs, job.name)) as checked:
            for cursor, item in checked:
                # Before the call: a cursor that cannot be kept must not be found out when the item is done.
                following = checkpoint.after(cursor, name=job.name)
                job.function(item, *bound.args, **bound.kwargs)
                checkpoint = following
                _keep(checkpoint, keeper, run)
                count.note(checkpoint)
                if run.stopping():
                    raise HandBackJob
                if time.monotonic() > until:
                    raise SliceOver(min(_PAUSE_SECONDS, _PAUSE_SHARE * slice_seconds))
        count.end()
        return checkpoint.items
    except BaseException as error:
        keeper.flush()
        count.end(cut_off_by=error)
        raise


def is_of(name: str) -> bool:
    """Whether the job of this name iterates."""
    job = registry.find(name)
    return job is not None and job.options.iterates is not None


def _slice_seconds(job: Job[Any, Any], run: CurrentRun) -> float:
    if job.options.time_slice is not None:
        return job.options.time_slice.total_seconds()
    return min(SLICE_SECONDS, run.timeout / 2)


def _checked(pairs: Iterable[Any], name: str) -> Generator[tuple[Any, Any], None, None]:
    """The pairs, of what may be a generator: it is closed with this one."""
    try:
        for pair in pairs:
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise BadOptions(f"{name}: iterates gave a {type(pair).__name__}; yield two things, cursor and item")
            yield pair
    finally:
        if isinstance(pairs, Generator):
            pairs.close()


def _keep(checkpoint: Checkpoint, keeper: Keeper, run: CurrentRun) -> None:
    """While Redis is away the job waits: what is done without a checkpoint would be done again."""
    while True:
        try:
            held = keeper.save(checkpoint)
            break
        except BrokerUnavailable:
            if run.stopping():
                raise HandBackJob from None
            time.sleep(_RECONNECT_SECONDS)
    if not held:
        run.logger.warning("%s was taken over by another worker meanwhile; this attempt ends", run.name)
        raise HandBackJob
