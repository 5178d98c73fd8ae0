"""Carries what Redis has counted as enqueued into the figures.

A push counts what it adds, by job and queue, in one hash. (`push.lua`) Its numbers only grow, and are never read and
reset: what is new is their difference to what they were when they were last carried, which a row knows.
The row changes in the transaction that writes the figures, by its version; so each run counts once, whatever crashes,
and however many carry at once.

The hash says since when it counts. A server that was wiped counts from nothing again, and that is told by it. One that
was restored from an older copy has the same beginning and smaller numbers: what it counted before, counts once.
"""

from __future__ import annotations

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from jobs.broker.enqueued import Counted, counted
from jobs.metrics.minutes import Minutes
from jobs.models import MetricCursor

_KIND = "enqueued"


def carry() -> int:
    """Add what was enqueued since the last time to the figures of this minute. Returns how many runs that were.

    Raises `BrokerUnavailable`, and may be repeated.
    """
    # The row before Redis: numbers that are older than the row's would look like a server that was restored.
    cursor, _ = MetricCursor.objects.get_or_create(kind=_KIND)
    now = counted()
    fresh = _fresh(cursor.state, now)
    if not fresh and cursor.state == _state(now):
        return 0
    minutes = Minutes()
    at_ms = int(timezone.now().timestamp() * 1000)
    for (name, queue), count in fresh.items():
        minutes.enqueued(name, queue, at_ms=at_ms, count=count)
    with transaction.atomic(using=router.db_for_write(MetricCursor)):
        mine = MetricCursor.objects.filter(kind=_KIND, version=cursor.version)
        if not mine.update(version=F("version") + 1, state=_state(now)):
            # Another process carried it.
            return 0
        minutes.write()
    return sum(fresh.values())


def _fresh(seen: dict[str, object], now: Counted) -> dict[tuple[str, str], int]:
    """What is counted now and was not when it was last looked at."""
    before: dict[tuple[str, str], int] = {}
    if seen.get("since") == now.since:
        before = {(name, queue): count for name, queue, count in seen.get("counts", [])}  # type: ignore[attr-defined]
    more = {key: count - before.get(key, 0) for key, count in now.counts.items()}
    return {key: count for key, count in more.items() if count > 0}


def _state(now: Counted) -> dict[str, object]:
    return {"since": now.since, "counts": [[*key, count] for key, count in sorted(now.counts.items())]}
