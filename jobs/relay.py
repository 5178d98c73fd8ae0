"""Pushes what its caller could not: rows that were committed and not given to Redis."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from jobs import failpoints
from jobs.broker.push import QueuesRefused, missing, push
from jobs.broker.schedule import hasten
from jobs.enqueueing import message_of
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun, RunState
from jobs.models.locking import lock_free
from jobs.policy.backoff import exponential

logger = logging.getLogger(__name__)

# The caller pushes right after its commit; a row that is older has been left behind.
_GRACE = timedelta(seconds=5)
_ROWS_AT_ONCE = 500
_WAITING = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)


# Queues that could not be written lately: each is told of once, until it can be, and tried ever more rarely.
_told: frozenset[str] = frozenset()
_rest_seconds = exponential(first=2.0, cap=60.0)


class _Resting:
    """Queues that refused, and until when they are left alone."""

    def __init__(self) -> None:
        self._refusals: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def now(self) -> frozenset[str]:
        now = time.monotonic()
        return frozenset(queue for queue, until in self._until.items() if until > now)

    def note(self, refused: frozenset[str], *, tried_all_but: frozenset[str]) -> None:
        """Those of `refused` rest, and longer each time; whichever else was tried is forgotten."""
        for queue in self._refusals.keys() - refused - tried_all_but:
            del self._refusals[queue], self._until[queue]
        for queue in refused:
            self._refusals[queue] = self._refusals.get(queue, 0) + 1
            self._until[queue] = time.monotonic() + _rest_seconds(self._refusals[queue])

    def clear(self) -> None:
        self._refusals.clear()
        self._until.clear()


resting = _Resting()


@dataclass(frozen=True)
class Backlog:
    """Rows that wait for the relay; `oldest_at` is when the oldest of them was asked for."""

    count: int
    oldest_at: datetime | None

    @property
    def lag(self) -> timedelta:
        """For how long the oldest has waited; none where nothing does."""
        return timedelta(0) if self.oldest_at is None else timezone.now() - self.oldest_at


def relay(*, min_age: timedelta | None = _GRACE) -> int:
    """Push rows that were left behind, up to 500. Returns how many rows it marked as pushed.

    `min_age` leaves younger rows to their callers; None takes all. A queue whose key is in use for something else
    is left out and logged, and rests for 2 s, then longer, up to a minute. Raises `BrokerUnavailable`, and then marks
    none.
    """
    rest = frozenset() if min_age is None else resting.now()
    marked, refused = _push_some(min_age, without=rest)
    left_out = rest | refused
    # Else the rows of a queue that refuses would be the first 500 each time.
    while refused and marked < _ROWS_AT_ONCE:
        more, refused = _push_some(min_age, without=left_out)
        marked += more
        left_out |= refused
    resting.note(left_out - rest, tried_all_but=rest)
    _tell_of(left_out)
    return marked


def _push_some(min_age: timedelta | None, *, without: frozenset[str]) -> tuple[int, frozenset[str]]:
    """How many rows it marked as pushed, and which queues refused theirs."""
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        # The lock keeps the recorder from ending a run between our look and our push.
        wanted = lock_free(_left_behind(min_age), using=using).order_by("id")
        waiting = wanted.exclude(queue__in=without) if without else wanted
        found = list(waiting.values_list("pk", "rq_id", "life", "queue", "due_at")[:_ROWS_AT_ONCE])
        if not found:
            return 0, frozenset()
        now = timezone.now()
        # Most only wait for a worker: their callers pushed them, and who did says so nowhere but in Redis.
        places = missing([(rq_id, life) for _, rq_id, life, _, _ in found])
        absent = {found[place][0] for place in places}
        refused = _push(absent, at=now, using=using)
        _hasten([(rq_id, queue) for pk, rq_id, _, queue, at in found if at and at <= now and pk not in absent])
        pushed = [pk for pk, _, _, queue, _ in found if pk not in absent or queue not in refused]
        return JobRun.objects.using(using).filter(pk__in=pushed).update(pushed_at=now), refused


def _push(absent: set[uuid.UUID], *, at: datetime, using: str) -> frozenset[str]:
    """The queues that refused these runs; all others have theirs."""
    if not absent:
        return frozenset()
    if failpoints.armed:
        failpoints.reach("before_relay_push")
    refused = _refused(list(JobRun.objects.using(using).filter(pk__in=absent).order_by("pk")), at=at)
    if failpoints.armed:
        failpoints.reach("after_relay_push")
    return refused


def _hasten(due: list[tuple[str, str]]) -> None:
    """A person may have let these start now while Redis was away, which still has their time of before."""
    if not due:
        return
    try:
        hasten(due)
    except BrokerUnavailable as error:
        # They start when they were due before; the others are not held up by that.
        logger.warning("%d runs are due now, and Redis could not be told: %s", len(due), error)


def _refused(rows: list[JobRun], *, at: datetime) -> frozenset[str]:
    """The queues that refused their rows when they were pushed; all others have theirs."""
    try:
        # Redis may have had a run, begun it and lost it all before the row heard of it.
        push([message_of(row, robbed=True) for row in rows], at=at)
    except QueuesRefused as error:
        return error.queues
    return frozenset()


def _tell_of(left_out: frozenset[str]) -> None:
    global _told
    if fresh := left_out - _told:
        logger.error("left behind: %s", QueuesRefused(fresh), extra={"queues": sorted(fresh)})
    _told = left_out


def backlog() -> Backlog:
    """What waits for the relay at present: one look through the partial index of rows that nobody marked."""
    return Backlog(**_left_behind(_GRACE).aggregate(count=Count("pk"), oldest_at=Min("created_at")))


def _left_behind(min_age: timedelta | None) -> QuerySet[JobRun]:
    rows = JobRun.objects.filter(pushed_at__isnull=True, state__in=_WAITING)
    return rows if min_age is None else rows.filter(created_at__lt=timezone.now() - min_age)
