"""The state of runs: which changes there are, and the verbs for runs that have not died."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connections, router, transaction
from django.utils import timezone

from jobs import audit, members, outbox
from jobs.broker.push import withdraw
from jobs.broker.stops import StopOrder, order
from jobs.errors import BrokerUnavailable, NotCancellable, NotStoppable
from jobs.models import JobRun, RunState
from jobs.models.runs import ENDED_STATES, PENDING_STATES

logger = logging.getLogger(__name__)

# From which states a run may come into a state.
_FROM: dict[RunState, Sequence[RunState]] = {
    RunState.RUNNING: PENDING_STATES,
    RunState.QUEUED: (*PENDING_STATES, RunState.DEAD),
    RunState.SCHEDULED: PENDING_STATES,
    RunState.RETRYING: PENDING_STATES,
    RunState.SUCCEEDED: PENDING_STATES,
    RunState.DEAD: PENDING_STATES,
    RunState.DISCARDED: (*PENDING_STATES, RunState.DEAD),
    RunState.CANCELLED: PENDING_STATES,
}
# The others of them run, and can be stopped.
CANCELLABLE = tuple(state for state in PENDING_STATES if state != RunState.RUNNING)
MAY_SUCCEED = _FROM[RunState.SUCCEEDED]
# How long a run that is being ended stays out of the workers' reach while its caller's transaction is open.
_ASIDE_SECONDS = 60.0


def transition(run: JobRun, state: RunState, *, at: datetime, **facts: Any) -> bool:
    """Change a locked row's state, and set the facts that go with it; False where that change does not exist.

    With `undo_discard` the only place that changes a state. The caller holds the row's lock and saves
    `TRANSITION_FIELDS`.
    """
    return _change(run, state, at=at, comes_from=_FROM[state], facts=facts)


def undo_discard(run: JobRun, *, at: datetime) -> bool:
    """Make a discarded run dead again; False where it is not discarded. For `discards` alone: what the journal tells
    never brings a run back."""
    return _change(run, RunState.DEAD, at=at, comes_from=(RunState.DISCARDED,), facts={})


def _change(
    run: JobRun, state: RunState, *, at: datetime, comes_from: Sequence[RunState], facts: dict[str, Any]
) -> bool:
    if run.state not in comes_from:
        return False
    run.__dict__.setdefault("_state_before", run.state)
    run.state = state
    run.ended_at = at if state in ENDED_STATES else None
    for fact, value in facts.items():
        setattr(run, fact, value)
    return True


TRANSITION_FIELDS = (
    "state",
    "life",
    "attempts",
    "crashes",
    "due_at",
    "pushed_at",
    "started_at",
    "ended_at",
    "wait_ms",
    "run_ms",
    "worker",
    "release",
    "result",
    "error_class",
    "error_message",
)


def lock(ids: Iterable[Any]) -> list[JobRun]:
    """The rows of these ids, locked in one order until the transaction ends."""
    return list(JobRun.objects.select_for_update().filter(pk__in=list(ids)).order_by("pk"))


def save_all(rows: Sequence[JobRun]) -> None:
    """Save what `transition` changes, one statement prepared for all rows; and count members of batches anew.

    Django's `bulk_update` builds a CASE per row and field: many times slower than this.
    """
    if not rows:
        return
    connection = connections[router.db_for_write(JobRun)]
    table = JobRun._meta
    fields = [field for field in table.concrete_fields if field.name in TRANSITION_FIELDS]
    fields += [field for field in table.concrete_fields if field.primary_key]
    quote = connection.ops.quote_name
    *columns, key = [f"{quote(str(field.column))} = %s" for field in fields]
    statement = f"UPDATE {quote(table.db_table)} SET {', '.join(columns)} WHERE {key}"  # noqa: S608
    values = [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
    _count_members(rows)


def _count_members(rows: Sequence[JobRun]) -> None:
    moves = [(row.batch_id, row.__dict__.pop("_state_before", row.state), row.state) for row in rows]
    of_batches = [(batch, before, after) for batch, before, after in moves if batch is not None]
    if of_batches:
        members.count(members.moved(of_batches))


def cancel(run: JobRun, *, actor: str, reason: str = "", address: str = "") -> None:
    """End a run that has not started, for good. Inside a transaction of the caller's, when that commits.

    Raises `NotCancellable` when it has started or ended, `BrokerUnavailable` when Redis cannot say.
    """
    using = router.db_for_write(JobRun)
    in_transaction = outbox.is_in_transaction(connections[using])
    with transaction.atomic(using=using):
        locked = lock([run.pk])
        if not locked or locked[0].state not in CANCELLABLE:
            state = locked[0].get_state_display() if locked else "gone"
            raise NotCancellable(f"{run.name} {run.pk} is {state}; only runs that wait can be cancelled.")
        row = locked[0]
        before = row.state
        transition(row, RunState.CANCELLED, at=timezone.now())
        save_all([row])
        audit.record(
            actor=actor,
            action="cancel",
            target=str(row.pk),
            reason=reason,
            before={"state": before},
            after={"state": row.state},
            address=address,
        )
        # Last, for nothing gives back to Redis what a failure after it would leave pending here. The caller's own
        # transaction may still fail: until it has committed, the run is only out of the workers' reach.
        aside = _ASIDE_SECONDS if in_transaction else None
        if withdraw(row.rq_id, queue=row.queue, life=row.life, aside_seconds=aside) in ("started", "ended"):
            raise NotCancellable(f"{run.name} {run.pk} has just started; stop it, or wait for its end.")
        if in_transaction:
            transaction.on_commit(lambda: withdraw_ended(row), using=using)


def put_aside(row: JobRun) -> bool:
    """Whether a run has not started; then it is out of the workers' reach for as long as the caller's transaction may
    take. Raises `BrokerUnavailable`.
    """
    answer = withdraw(row.rq_id, queue=row.queue, life=row.life, aside_seconds=_ASIDE_SECONDS)
    return answer not in ("started", "ended")


def withdraw_ended(*rows: JobRun) -> None:
    """Take runs from Redis that were cancelled or discarded in their rows already."""
    for row in rows:
        _withdraw_ended(row)


def _withdraw_ended(row: JobRun) -> None:
    facts = {"job": row.name, "run": str(row.pk)}
    try:
        if withdraw(row.rq_id, queue=row.queue, life=row.life) == "started":
            logger.error("a run started while the transaction that ended it was open; it runs on", extra=facts)
    except BrokerUnavailable as error:
        # It comes back when it was aside for long enough.
        logger.exception(
            "a run that was ended could not be taken from Redis and may run", extra=facts | {"error": str(error)}
        )


def follow_cancel(rq_id: str) -> int:
    """End the pending runs of an id whose message RQ's own `job.cancel()` has just taken back. Returns how many."""
    with transaction.atomic(using=router.db_for_write(JobRun)):
        rows = lock(JobRun.objects.filter(rq_id=rq_id, state__in=CANCELLABLE).values_list("pk", flat=True))
        rows = [row for row in rows if transition(row, RunState.CANCELLED, at=timezone.now())]
        save_all(rows)
        for row in rows:
            audit.record(actor="job.cancel()", action="cancel", target=str(row.pk), after={"state": row.state})
    return len(rows)


def stop(run: JobRun, *, actor: str, reason: str = "", address: str = "") -> None:
    """End a run that is running, for good: its worker raises `JobStopped` in it within about two seconds, or lets it
    finish its item first, for up to ten, where its job iterates.

    Only this run ends, and as cancelled. One that returns before is done all the same, and one that waits for its
    retry by then is stopped when it starts. Raises `NotStoppable` when it does not run, `BrokerUnavailable` when Redis
    cannot be told.
    """
    with transaction.atomic(using=router.db_for_write(JobRun)):
        locked = lock([run.pk])
        if not locked or locked[0].state != RunState.RUNNING:
            state = locked[0].get_state_display() if locked else "gone"
            raise NotStoppable(f"{run.name} {run.pk} is {state}; only a run that is running can be stopped.")
        row = locked[0]
        audit.record(
            actor=actor,
            action="stop",
            target=str(row.pk),
            reason=reason,
            before={"state": row.state},
            after={"state": row.state, "stop_ordered": True},
            address=address,
        )
        order(str(row.pk), StopOrder(row.life, actor, reason))
