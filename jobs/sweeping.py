"""Compares Redis with the rows a little at a time, without a cause: what was lost in other ways comes back too.

A run is lost by a key that somebody deleted, by a cancellation that failed in the middle, by a server that went back
in time unnoticed. Each slice looks at some pending rows and at some runs in Redis; the next goes on where it ended.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from jobs import conf, lost
from jobs.broker import places
from jobs.broker.places import Listed
from jobs.models import JobRun, MetricCursor
from jobs.models.runs import PENDING_STATES

logger = logging.getLogger(__name__)

# Whatever moves a run does so within seconds; a younger one may be on its way.
_MIN_AGE = timedelta(minutes=2)
# About 0.2 s of work for this process, and 20 ms for the server.
_ROWS_A_SLICE = 5000
_SCANS_A_SLICE = 20
# A longer queue is not copied: its runs are believed when they say that they wait in it.
_LONGEST_QUEUES = 200_000


# The row that keeps what the last round found, among those that say how far something is.
_KIND = "sweep"


@dataclass(frozen=True)
class Round:
    """One comparison of all pending rows with Redis: how many runs were put back or removed, and when it ended."""

    ended_at: datetime
    restored: int
    removed: int

    @property
    def difference(self) -> int:
        """On how many runs the rows and Redis did not agree."""
        return self.restored + self.removed


def last_round() -> Round | None:
    """The last round that was finished; None before the first."""
    row = MetricCursor.objects.filter(kind=_KIND).first()
    if row is None:
        return None
    return Round(datetime.fromisoformat(row.state["ended_at"]), row.state["restored"], row.state["removed"])


class Sweep:
    """Where the next slice begins. Lives as long as the process that leads."""

    def __init__(self) -> None:
        self._state = 0
        self._after: uuid.UUID | None = None
        self._cursor = "0"
        self._is_round_over = False
        self._restored = self._removed = 0

    def slice(self) -> int:
        """Look at the next rows and runs. Returns how many were put back or removed.

        Raises `BrokerUnavailable` or a database error.
        """
        restored, removed = self._restore_lost(), self._remove_ended()
        self._count(restored, removed)
        if restored or removed:
            facts = {"restored": restored, "removed": removed}
            logger.warning("the sweep put back %s lost runs, and removed %s ended ones", restored, removed, extra=facts)
        return restored + removed

    def _count(self, restored: int, removed: int) -> None:
        """Keep what a round found, once all pending rows were looked at."""
        self._restored += restored
        self._removed += removed
        if not self._is_round_over:
            return
        found = {"restored": self._restored, "removed": self._removed, "ended_at": timezone.now().isoformat()}
        MetricCursor.objects.update_or_create(kind=_KIND, defaults={"state": found})
        self._is_round_over, self._restored, self._removed = False, 0, 0

    def _restore_lost(self) -> int:
        """The state with its rows is left in the midst, and the next slice goes on there."""
        waiting = _waiting()
        restored = seen = 0
        for _ in PENDING_STATES:
            old = JobRun.objects.filter(state=PENDING_STATES[self._state], created_at__lt=timezone.now() - _MIN_AGE)
            for rows in lost.chunks(old, after=self._after):
                restored += _restore(rows, waiting)
                self._after = rows[-1].pk
                seen += len(rows)
                if seen >= _ROWS_A_SLICE:
                    return restored
            self._state, self._after = (self._state + 1) % len(PENDING_STATES), None
            self._is_round_over |= self._state == 0
        return restored

    def _remove_ended(self) -> int:
        removed = 0
        for _ in range(_SCANS_A_SLICE):
            self._cursor, found = places.scan(self._cursor)
            removed += lost.remove_ended(found)
            if self._cursor == "0":
                break
        return removed


def _waiting() -> Listed | None:
    queues = conf.queue_names()
    return places.listed(queues) if places.depth(queues) <= _LONGEST_QUEUES else None


def _restore(rows: list[JobRun], waiting: Listed | None) -> int:
    # What is not pushed yet is the relay's.
    missed = [row.pk for row, place in lost.find(rows, waiting=waiting) if place == "lost"]
    return len(lost.restore(missed)) if missed else 0
