"""What changes with the rows of runs: the counts of their batches. What follows of them is for `batches`, a moment
later: nothing here can fail because of what somebody asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Case, F, Q, Value, When

from jobs.models import Batch, RunState

# In which count a member is, by its run's state; in none while it is pending.
_COUNTED_AS = {
    RunState.SUCCEEDED: "succeeded",
    RunState.DEAD: "dead",
    RunState.DISCARDED: "discarded",
    RunState.CANCELLED: "cancelled",
}
# What one transaction changes until it is written, by batch; None outside of `gathering`.
_gathered: ContextVar[dict[int, Counter[str]] | None] = ContextVar("jobs_gathered_counts", default=None)
# Whether this process has changed a count since somebody asked.
_changed = False


def count(changes: Mapping[int, Mapping[str, int]]) -> None:
    """Add to the counts of batches, by batch and count, in the transaction that changes the rows of the runs."""
    global _changed
    if (gathered := _gathered.get()) is not None:
        _add(changes, gathered)
        return
    # In one order, as everybody locks them; after the runs.
    for batch_id in sorted(changes):
        change = {name: by for name, by in changes[batch_id].items() if by}
        if change:
            counts = {name: F(name) + by for name, by in change.items()}
            Batch.objects.filter(pk=batch_id).update(ripe=_ripe_after(change), **counts)
            _changed = True


@contextmanager
def gathering() -> Iterator[None]:
    """Change each batch once for all that is counted in the block: two passes over them could lock in a circle."""
    gathered: dict[int, Counter[str]] = {}
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
    count(gathered)


def moved(moves: Iterable[tuple[int, str, str]]) -> dict[int, Counter[str]]:
    """The changes of batches whose members went from one state to another: (batch, before, after) of each."""
    changes: dict[int, Counter[str]] = {}
    for batch_id, before, after in moves:
        change = changes.setdefault(batch_id, Counter())
        if name := _COUNTED_AS.get(RunState(before)):
            change[name] -= 1
        if name := _COUNTED_AS.get(RunState(after)):
            change[name] += 1
    return changes


def take_changed() -> bool:
    """Whether this process has changed a count since this was asked last."""
    global _changed
    before, _changed = _changed, False
    return before


def _add(changes: Mapping[int, Mapping[str, int]], gathered: dict[int, Counter[str]]) -> None:
    for batch_id, change in changes.items():
        # `update` adds here, and keeps what is below zero.
        gathered.setdefault(batch_id, Counter()).update(change)


def _ripe_after(change: Mapping[str, int]) -> Case | Value:
    """Whether something may follow: one has died, one has been revived, or all have ended.

    Too often does no harm. `total` may be too small for a moment, never too large.
    """
    if change.get("dead"):
        return Value(True)
    ended = F("succeeded") + F("dead") + F("discarded") + F("cancelled") + sum(change.values())
    return Case(When(Q(sealed_at__isnull=False, total__lte=ended), then=Value(True)), default=F("ripe"))
