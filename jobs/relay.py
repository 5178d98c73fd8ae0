"""Pushes what its caller could not: rows that were committed and not given to Redis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from jobs.broker.push import push
from jobs.enqueueing import message_of
from jobs.models import JobRun, RunState

# The caller pushes right after its commit; a row that is older has been left behind.
_GRACE = timedelta(seconds=5)
_ROWS_AT_ONCE = 500
_WAITING = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)


@dataclass(frozen=True)
class Backlog:
    """Rows that wait for the relay; `oldest_at` is when the oldest of them was asked for."""

    count: int
    oldest_at: datetime | None


def relay(*, min_age: timedelta | None = _GRACE) -> int:
    """Push rows that were left behind, up to 500. Returns how many rows it marked as pushed.

    `min_age` leaves younger rows to their callers; None takes all. Raises `BrokerUnavailable`, and then marks none.
    """
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        # The lock keeps the recorder from ending a run between our look and our push.
        rows = list(
            _left_behind(min_age).using(using).select_for_update(**_locking(using)).order_by("id")[:_ROWS_AT_ONCE]
        )
        if not rows:
            return 0
        now = timezone.now()
        push([message_of(row) for row in rows], at=now)
        return JobRun.objects.using(using).filter(pk__in=[row.pk for row in rows]).update(pushed_at=now)


def backlog() -> Backlog:
    """What waits for the relay at present."""
    rows = _left_behind(_GRACE)
    return Backlog(rows.count(), rows.aggregate(oldest=Min("created_at"))["oldest"])


def _left_behind(min_age: timedelta | None) -> QuerySet[JobRun]:
    rows = JobRun.objects.filter(pushed_at__isnull=True, state__in=_WAITING)
    return rows if min_age is None else rows.filter(created_at__lt=timezone.now() - min_age)


def _locking(using: str) -> dict[str, Any]:
    # SQLite has no row locks; its transaction holds the whole database for the moment that this takes.
    return {"skip_locked": True} if connections[using].features.has_select_for_update_skip_locked else {}
