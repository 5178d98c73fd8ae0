"""How a batch fares, and whether its counts are those of its members. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Sum
from django.utils import timezone

from jobs.errors import BadBatch
from jobs.models import Batch, BatchSlice, JobRun
from jobs.models.runs import ENDED_STATES, PENDING_STATES

# The rate is that of so long.
_LATELY = timedelta(seconds=60)


@dataclass(frozen=True)
class Progress:
    """How a batch fares now.

    `counts` are the members by state, of all states. `rate` is how many ended in a second of the last minute.
    `seconds_left` is what is left at that rate, and at least until the last slice is due; None where nobody can say.
    `nested` is how many batches stand within it.
    """

    batch: int
    name: str
    state: str
    total: int
    done: int
    counts: Mapping[str, int] = field(default_factory=dict)
    rate: float = 0.0
    seconds_left: float | None = None
    nested: int = 0
    trouble: str = ""
    key: str | None = None

    @property
    def pending(self) -> int:
        return max(0, self.total - self.done)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.done / self.total if self.total else float(self.state not in ("filling", "running"))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"share": round(self.share, 4)}


def get(which: int | str) -> Batch:
    """The batch of this number or key. Raises `BadBatch` where there is none."""
    rows = Batch.objects.filter(key=which) if isinstance(which, str) else Batch.objects.filter(pk=which)
    if (found := rows.first()) is None:
        raise BadBatch(f"There is no batch {which!r}. See manage.py jobs_batches list --all.")
    return found


def progress(batch: Batch) -> Progress:
    """How a batch fares now; what is within it is not counted."""
    row = Batch.objects.get(pk=batch.pk)
    fares = progress_of([row])[row.pk]
    return replace(fares, counts={**_pending(row), **fares.counts})


def progress_of(rows: Sequence[Batch]) -> dict[int, Progress]:
    """How several batches fare, by their keys, in the same few queries for any number, and no member looked at but
    those that ended lately: `counts` has no states of those that wait.
    """
    now = timezone.now()
    keys = [row.pk for row in rows]
    fresh = _unfolded(keys)
    rates = _rates([row for row in rows if row.is_open], now)
    latest = _latest_due(keys, now)
    nested = Batch.objects.filter(within__in=keys).order_by().values_list("within").annotate(Count("pk"))
    nested_of: dict[int | None, int] = dict(nested)
    found = {}
    for row in rows:
        total, rate = row.total + fresh.get(row.pk, 0), rates.get(row.pk, 0.0)
        found[row.pk] = Progress(
            batch=row.pk,
            name=row.name,
            state=row.state,
            total=total,
            done=min(row.ended, total),
            counts={state.value: getattr(row, state.value) for state in ENDED_STATES},
            rate=rate,
            seconds_left=_seconds_left(row, total - row.ended, rate, latest.get(row.pk), now),
            nested=nested_of.get(row.pk, 0),
            trouble=row.trouble,
            key=row.key,
        )
    return found


def total_of(batch: Batch) -> int:
    """How many members there are, also those that the row does not have yet."""
    return batch.total + _unfolded([batch.pk]).get(batch.pk, 0)


def _unfolded(keys: Sequence[int]) -> dict[int, int]:
    rows = BatchSlice.objects.filter(batch__in=keys, folded=False).order_by()
    return dict(rows.values_list("batch").annotate(Sum("members")))


def _latest_due(keys: Sequence[int], now: datetime) -> dict[int, datetime]:
    rows = BatchSlice.objects.filter(batch__in=keys, due_at__gt=now).order_by()
    return dict(rows.values_list("batch").annotate(Max("due_at")))


def _pending(batch: Batch) -> dict[str, int]:
    waiting = JobRun.objects.filter(batch=batch.pk, state__in=PENDING_STATES).order_by()
    found = dict(waiting.values_list("state").annotate(Count("pk"))) if batch.is_open else {}
    return {state.value: found.get(state, 0) for state in PENDING_STATES}


def _rates(rows: Sequence[Batch], now: datetime) -> dict[int | None, float]:
    ended = JobRun.objects.filter(
        batch__in=[row.pk for row in rows], state__in=ENDED_STATES, ended_at__gt=now - _LATELY
    )
    count_of = dict(ended.order_by().values_list("batch").annotate(Count("pk")))
    return {row.pk: _rate(row, count_of.get(row.pk, 0), now) for row in rows}


def _rate(batch: Batch, ended: int, now: datetime) -> float:
    seconds = min(_LATELY, now - batch.created_at).total_seconds()
    return round(ended / max(1.0, seconds), 3)


def _seconds_left(batch: Batch, pending: int, rate: float, latest_due: datetime | None, now: datetime) -> float | None:
    if not batch.is_open or pending <= 0:
        return 0.0 if not batch.is_open else None
    until_due = (latest_due - now).total_seconds() if latest_due else 0.0
    if not rate:
        return until_due or None
    return round(max(pending / rate, until_due), 1)
