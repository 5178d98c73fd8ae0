"""How a batch fares, and whether its counts are those of its members. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Sum
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
    `seconds_left` is what is left at that rate, and at least until the last slice is due; None where none ended lately.
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
        raise BadBatch(f"There is no batch {which!r}. See manage.py jobs_batches.")
    return found


def progress(batch: Batch) -> Progress:
    """How a batch fares now; what is within it is not counted."""
    row = Batch.objects.get(pk=batch.pk)
    now = timezone.now()
    total = total_of(row)
    counts = _counts(row)
    rate = _rate(row, now)
    return Progress(
        batch=row.pk,
        name=row.name,
        state=row.state,
        total=total,
        done=min(row.ended, total),
        counts=counts,
        rate=rate,
        seconds_left=_seconds_left(row, total - row.ended, rate, now),
        nested=Batch.objects.filter(within=row).count(),
        trouble=row.trouble,
    )


def total_of(batch: Batch) -> int:
    """How many members there are, also those that the row does not have yet."""
    unfolded = BatchSlice.objects.filter(batch=batch, folded=False).aggregate(count=Sum("members"))["count"]
    return batch.total + (unfolded or 0)


def _counts(batch: Batch) -> dict[str, int]:
    waiting = JobRun.objects.filter(batch=batch.pk, state__in=PENDING_STATES).order_by()
    found = dict(waiting.values_list("state").annotate(Count("pk"))) if batch.is_open else {}
    ended = {state.value: getattr(batch, state.value) for state in ENDED_STATES}
    return {**{state.value: found.get(state, 0) for state in PENDING_STATES}, **ended}


def _rate(batch: Batch, now: datetime) -> float:
    if not batch.is_open:
        return 0.0
    lately = JobRun.objects.filter(batch=batch.pk, state__in=ENDED_STATES, ended_at__gt=now - _LATELY)
    seconds = min(_LATELY, now - batch.created_at).total_seconds()
    return round(lately.count() / max(1.0, seconds), 3)


def _seconds_left(batch: Batch, pending: int, rate: float, now: datetime) -> float | None:
    if not batch.is_open or pending <= 0:
        return 0.0 if not batch.is_open else None
    latest = BatchSlice.objects.filter(batch=batch, due_at__gt=now).order_by("-due_at").first()
    until_due = (latest.due_at - now).total_seconds() if latest and latest.due_at else 0.0
    if not rate:
        return until_due or None
    return round(max(pending / rate, until_due), 1)
