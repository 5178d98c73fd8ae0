"""Dead jobs taken in hand: locked with their runs, and in chunks. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import QuerySet

from jobs import runs
from jobs.models import DeadJob

_AT_ONCE = 500


def lock(keys: Sequence[int]) -> list[DeadJob]:
    """The dead jobs of these keys with their runs, locked until the transaction ends, in order; those that are gone
    are left out."""
    run_ids = DeadJob.objects.filter(pk__in=keys).values_list("run_id", flat=True)
    # Runs before burials, as everybody locks them.
    locked = {row.pk: row for row in runs.lock(run_ids)}
    dead_jobs = list(DeadJob.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
    for dead_job in dead_jobs:
        dead_job.run = locked[dead_job.run_id]
    return dead_jobs


def chunks(chosen: QuerySet[DeadJob], limit: int | None) -> Iterator[list[int]]:
    """The keys of the chosen ones, oldest first, up to `limit` of them. What dies meanwhile stays out."""
    newest = DeadJob.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    after, rest = 0, limit
    while rest is None or rest > 0:
        most = _AT_ONCE if rest is None else min(_AT_ONCE, rest)
        ahead = chosen.filter(pk__gt=after, pk__lte=newest).order_by("pk")
        keys = list(ahead.values_list("pk", flat=True)[:most])
        if not keys:
            return
        yield keys
        after = keys[-1]
        rest = None if rest is None else rest - len(keys)
