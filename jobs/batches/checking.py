"""Whether the counts of batches are those of their members, and how they are mended. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import router, transaction
from django.db.models import Count, OuterRef, Q, Subquery, Sum

from jobs import audit
from jobs.models import Batch, BatchSlice
from jobs.models.runs import ENDED_STATES, PENDING_STATES
from jobs.policy.batch import is_exact

_AT_ONCE = 500


@dataclass(frozen=True)
class Difference:
    """A batch whose counts are not those of its members. `counted` is by its row, `found` by the rows of the runs;
    "pending" is in both. `gone` is how many members have no row any more, which is retention's work."""

    batch: int
    name: str
    counted: Mapping[str, int]
    found: Mapping[str, int]
    gone: int


def check(batch: Batch) -> Difference | None:
    """How the counts of a batch differ from those of its members; None where they do not.

    The batch is locked meanwhile, for counts change while we count.
    """
    with transaction.atomic(using=router.db_for_write(Batch)):
        locked = Batch.objects.select_for_update(no_key=True).filter(pk=batch.pk).first()
        return None if locked is None else _difference(locked)


def check_all() -> Iterator[Difference]:
    """The differences of all batches. Those that seem to differ are looked at again, locked."""
    after = 0
    while batches := list(Batch.objects.filter(pk__gt=after).order_by("pk")[:_AT_ONCE]):
        members = _members(batch.pk for batch in batches)
        for batch in batches:
            # Pruned meanwhile, it has none.
            there = members.get(batch.pk)
            if there and not is_exact(_counted(batch, there), there.found) and (difference := check(batch)):
                yield difference
        after = batches[-1].pk


def repair(batch: Batch, *, actor: str, reason: str, address: str = "") -> bool:
    """Make the counts of a batch those of its members; false where nothing was wrong, or members without rows leave
    that open. What should follow then does. Leaves an audit row."""
    with transaction.atomic(using=router.db_for_write(Batch)):
        locked = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        difference = _difference(locked)
        if difference is None or difference.gone > 0:
            return False
        for state in ENDED_STATES:
            setattr(locked, state.value, difference.found.get(state.value, 0))
        # More members than any slice tells of.
        locked.total -= difference.gone
        locked.ripe = True
        locked.save(update_fields=["total", "ripe", *(state.value for state in ENDED_STATES)])
        audit.record(
            actor=actor,
            action="batch repair",
            target=f"batch {locked.pk}",
            reason=reason,
            before=dict(difference.counted),
            after=dict(difference.found),
            address=address,
        )
    return True


def _difference(batch: Batch) -> Difference | None:
    there = _members([batch.pk])[batch.pk]
    counted = _counted(batch, there)
    if is_exact(counted, there.found):
        return None
    gone = sum(counted.values()) - sum(there.found.values())
    return Difference(batch.pk, batch.name, counted, there.found, gone)


class _Members(NamedTuple):
    """The members of a batch by the rows of the runs, and how many the slices tell of that its row does not have."""

    found: dict[str, int]
    unfolded: int


def _counted(batch: Batch, there: _Members) -> dict[str, int]:
    ended = {state.value: getattr(batch, state.value) for state in ENDED_STATES}
    return {"pending": batch.total + there.unfolded - batch.ended} | ended


def _members(batches: Iterable[int]) -> dict[int, _Members]:
    # In one statement: whoever adds members commits their rows and their slice together, and may do so at any moment.
    slices = BatchSlice.objects.filter(batch=OuterRef("pk"), folded=False).order_by().values("batch")
    counts = {f"as_{state.value}": Count("members", filter=Q(members__state=state)) for state in ENDED_STATES}
    rows: Any = (
        Batch.objects.filter(pk__in=list(batches))
        .order_by()
        .annotate(unfolded=Subquery(slices.annotate(count=Sum("members")).values("count")))
        .values("pk", "unfolded")
        .annotate(pending=Count("members", filter=Q(members__state__in=PENDING_STATES)), **counts)
    )
    return {
        row["pk"]: _Members(
            {name.removeprefix("as_"): row[name] for name in counts} | {"pending": row["pending"]}, row["unfolded"] or 0
        )
        for row in rows
    }
