"""Which run of a job that is unique for a time keeps its equals out. Its rows change in the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import JobRun, RunState, UniqueHold
from jobs.models.insertion import NewRun
from jobs.models.pruning import delete_in_chunks

# Their work was not done, so that it may be asked for again.
_LETS_GO = (RunState.DEAD, RunState.DISCARDED, RunState.CANCELLED)


@dataclass(frozen=True)
class Taken:
    """Which keys a slice of runs did not get: `by_others` are the runs that keep one, `unsure` is what changed while we
    looked."""

    by_others: dict[str | None, uuid.UUID]
    unsure: set[str | None]


def take(runs: Sequence[NewRun], lasting: timedelta, *, using: str) -> Taken:
    """Hold the runs' keys for a period from now, where no other run does. May be repeated with the same runs."""
    holds = UniqueHold.objects.using(using)
    now = timezone.now()
    # In one order, so that two who ask for many wait for each other in one direction only.
    wanted = {str(run.unique_key): uuid.UUID(run.id) for run in sorted(runs, key=lambda run: run.unique_key or "")}
    fresh = [UniqueHold(key=key, run=run_id, until=now + lasting) for key, run_id in wanted.items()]
    holds.bulk_create(fresh, ignore_conflicts=True)
    others = [hold for hold in holds.filter(key__in=wanted) if hold.run != wanted[hold.key]]
    free = _let_go(others, now, using)
    unsure: set[str | None] = set()
    for hold in others:
        if hold.key in free and not _replace(hold, wanted[hold.key], now + lasting, using):
            unsure.add(hold.key)
    return Taken({hold.key: hold.run for hold in others if hold.key not in free}, unsure)


def hand_over(run: NewRun, to: uuid.UUID, *, using: str) -> None:
    """The key that `run` took is kept by an equal run that was there already."""
    UniqueHold.objects.using(using).filter(key=run.unique_key, run=uuid.UUID(run.id)).update(run=to)


def prune() -> int:
    """Delete what keeps nobody out any more, in chunks. Returns how many."""
    return delete_in_chunks(_prunable())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[UniqueHold]:
    return UniqueHold.objects.filter(until__lt=timezone.now()).order_by("until")


def _let_go(holds: Sequence[UniqueHold], now: datetime, using: str) -> set[str]:
    """The keys whose period is over, or whose run has ended and not succeeded."""
    rows = JobRun.objects.using(using).filter(pk__in=[hold.run for hold in holds], state__in=_LETS_GO)
    in_vain = set(rows.order_by().values_list("pk", flat=True)) if holds else set()
    return {hold.key for hold in holds if hold.until <= now or hold.run in in_vain}


def _replace(hold: UniqueHold, run_id: uuid.UUID, until: datetime, using: str) -> bool:
    as_it_was = UniqueHold.objects.using(using).filter(key=hold.key, run=hold.run)
    return bool(as_it_was.update(run=run_id, until=until))
