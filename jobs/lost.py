"""Rows and Redis compared: pending runs that are in no place, and runs in Redis whose rows have ended.

Knows when a run is lost and how it comes back. Who looks, and when, is `jobs.reconciling` and `jobs.ledger`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import runs
from jobs.broker import places
from jobs.broker.places import Listed, Place, Sought
from jobs.enqueueing import message_of
from jobs.models import JobRun, RunState
from jobs.models.locking import lock_free
from jobs.models.runs import ENDED_STATES, PENDING_STATES
from jobs.policy.ids import is_as_text

_ROWS_AT_ONCE = 500
_FACTS = ("pk", "rq_id", "queue", "life", "attempts", "state")


def pending(*, older_than: datetime | None = None) -> Iterator[list[JobRun]]:
    """The pending rows, some hundred at a time, with what `find` reads of them and no more."""
    for state in PENDING_STATES:
        rows = JobRun.objects.filter(state=state)
        yield from chunks(rows if older_than is None else rows.filter(created_at__lt=older_than))


def chunks(rows: QuerySet[JobRun], *, after: uuid.UUID | None = None) -> Iterator[list[JobRun]]:
    """These rows in the order of their ids, some hundred at a time."""
    rows = rows.only(*_FACTS).order_by("pk")
    while chunk := list((rows if after is None else rows.filter(pk__gt=after))[:_ROWS_AT_ONCE]):
        yield chunk
        after = chunk[-1].pk


def find(rows: Sequence[JobRun], *, waiting: Listed | None) -> list[tuple[JobRun, Place]]:
    """Those of the pending rows that Redis does not have as they say, and where it has them.

    `waiting` is what the queues hold; None believes a run that says so. Raises `BrokerUnavailable`.
    """
    found = places.look([Sought(row.rq_id, row.queue, row.life, _begun(row)) for row in rows])
    return [
        (row, "lost" if place == "queued" else place)
        for row, place in zip(rows, found, strict=True)
        if place != "there" and not (place == "queued" and (waiting is None or row.rq_id in waiting))
    ]


def search(rows: Sequence[JobRun]) -> list[tuple[JobRun, Place]]:
    """Where Redis has each of these rows' runs at this moment. Raises `BrokerUnavailable`."""
    found = places.search([Sought(row.rq_id, row.queue, row.life, _begun(row)) for row in rows])
    return list(zip(rows, found, strict=True))


def restore(ids: Iterable[uuid.UUID], *, ended_too: bool = False) -> list[JobRun]:
    """Put back those of these runs that are pending and in no place. Returns their rows.

    An attempt that was under way counts as interrupted. `ended_too` also takes runs whose end Redis knows and the
    row does not. Raises `BrokerUnavailable`, and then the rows say nothing of those that are back already.
    """
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        # The lock keeps the recorder from ending a run between our look and our push.
        wanted = JobRun.objects.filter(pk__in=list(ids), state__in=PENDING_STATES)
        rows = list(lock_free(wanted, using=using).order_by("pk"))
        now = timezone.now()
        for row in rows:
            row.attempts = _begun(row)
        # Whoever held one before the server lost it may still be at it.
        messages = [message_of(row, robbed=True) for row in rows]
        answers = places.restore(messages, crashes=[row.crashes for row in rows], at=now, ended_too=ended_too)
        back = [row for row, place in zip(rows, answers, strict=True) if place == "restored"]
        for row in back:
            runs.transition(row, _state_of(row, at=now), at=now, pushed_at=now)
        runs.save_all(back)
    return back


def remove_ended(sought: Sequence[Sought]) -> int:
    """Remove from Redis those of these runs whose rows have ended. Returns how many. Raises `BrokerUnavailable`."""
    return places.remove([run for run, _ in ended(sought)])


def ended(sought: Sequence[Sought]) -> list[tuple[Sought, JobRun]]:
    """Those of the runs, which are in a place in Redis, whose rows have ended in this life or a later one."""
    by_id = {run.run_id: run for run in sought if is_as_text(run.run_id)}
    rows = JobRun.objects.filter(pk__in=list(by_id), state__in=ENDED_STATES).defer("payload")
    found = [(by_id[row.rq_id], row) for row in rows if row.rq_id in by_id]
    return [(Sought(run.run_id, row.queue, row.life), row) for run, row in found if run.life <= row.life]


def _state_of(row: JobRun, *, at: datetime) -> RunState:
    """What a pending row says once its run is back."""
    waits = row.state in (RunState.SCHEDULED, RunState.RETRYING) and row.due_at is not None and row.due_at > at
    return RunState(row.state) if waits else RunState.QUEUED


def _begun(row: JobRun) -> int:
    """Attempts that count: one that is under way is about to be interrupted."""
    return max(0, row.attempts - (row.state == RunState.RUNNING))
