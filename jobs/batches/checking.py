"""Whether the counts of batches are those of their members, and how they are mended. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db import router, transaction
from django.db.models import Count

from jobs import audit
from jobs.batches.looking import total_of
from jobs.models import Batch, JobRun
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
        found = _found(batch.pk for batch in batches)
        for batch in batches:
            if not is_exact(_counted(batch), found[batch.pk]) and (difference := check(batch)):
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
    counted, found = _counted(batch), _found([batch.pk])[batch.pk]
    if is_exact(counted, found):
        return None
    return Difference(batch.pk, batch.name, counted, found, sum(counted.values()) - sum(found.values()))


def _counted(batch: Batch) -> dict[str, int]:
    ended = {state.value: getattr(batch, state.value) for state in ENDED_STATES}
    return {"pending": total_of(batch) - batch.ended} | ended


def _found(batches: Iterable[int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {pk: {"pending": 0} for pk in batches}
    rows = JobRun.objects.filter(batch__in=list(found)).order_by().values_list("batch", "state")
    for pk, state, count in rows.annotate(Count("pk")):
        name = "pending" if state in PENDING_STATES else state
        found[pk][name] = found[pk].get(name, 0) + count
    return found
