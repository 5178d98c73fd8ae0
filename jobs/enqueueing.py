"""Puts runs into the system: a row in the caller's transaction, a push after its commit."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from django.db import connections, router, transaction

from jobs import conf, drafts, outbox, registry, tracing
from jobs.broker.foreign import Foreign
from jobs.broker.parcels import Message
from jobs.drafts import Asking, Draft
from jobs.errors import AlreadyPending, BadArguments
from jobs.handles import Run, Runs, run_of
from jobs.models import BatchSlice, JobRun
from jobs.models.insertion import NewRun, insert
from jobs.registry import Bound, Call, Job, Placing
from jobs.spool import Spool
from jobs.uniques import conflicts
from jobs.uniques.conflicts import Written

__all__ = ["Run", "Runs", "build", "enqueue", "message_of", "run_of"]

logger = logging.getLogger(__name__)


def enqueue(job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> Runs:
    """Ask for a run per call; all or none. See `Job.enqueue` for what is refused.

    The rows are written in the transaction that the caller has open on their database. Without one there, but with one
    on other databases, they are written when all of those have committed, and never when one is rolled back.
    """
    asking = drafts.ask(job, placing)
    if not tracing.is_on():
        return _enqueue(asking, calls)
    with tracing.enqueuing(job.name, asking.queue, correlation=asking.correlation) as span:
        runs = _enqueue(replace(asking, traceparent=tracing.current()), calls)
        tracing.enqueued(span, str(runs[0].id) if len(runs) == 1 else "", count=len(runs))
        return runs


def _enqueue(asking: Asking, calls: Iterable[Call | Bound]) -> Runs:
    slices = asking.slices(calls)
    using = router.db_for_write(JobRun)
    if elsewhere := open_elsewhere(using):
        return _store_later(asking, slices, using=using, after=elsewhere)
    return _store(asking, slices, using=using)


def build(job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> list[JobRun]:
    """A row per call, checked and not saved. See `Job.enqueue` for what is refused."""
    asking = drafts.ask(job, placing)
    shared = asking.shared()
    return [_row(draft.run, shared) for draft in asking.drafts(calls)]


def message_of(row: JobRun, *, durable: bool = True, robbed: bool = False) -> Message:
    """A row as Redis gets it. `robbed`: an earlier attempt may still be under way."""
    job = registry.find(row.name)
    timeout = (job.options.timeout if job else None) or conf.get().DEFAULT_TIMEOUT
    return Message(
        run_id=row.rq_id,
        name=row.name,
        queue=row.queue,
        life=row.life,
        payload=row.payload[:2],
        description=drafts.describe(row.name, row.arguments),
        created_at=row.created_at,
        timeout=timeout,
        durable=durable,
        attempts=row.options.get("attempts"),
        expires_at=_expiry_of(row),
        begun=row.attempts,
        due_at=row.due_at,
        parent=str(row.parent or ""),
        correlation=row.correlation,
        traceparent=row.options.get("traceparent", ""),
        # Plain RQ's message stands behind the arguments, which only show what is in it.
        foreign=Foreign(str(row.pk), row.payload[2]) if len(row.payload) > 2 else None,
        limits=_limits_of(job, row) if job else "",
        robbed=robbed,
    )


def _expiry_of(row: JobRun) -> datetime | None:
    """Of a dead run that a person retried, none: it is wanted all the same."""
    told = row.options.get("expires_at")
    return datetime.fromisoformat(told) if told and not row.life else None


def _limits_of(job: Job[Any, Any], row: JobRun) -> str:
    if not job.options.limits:
        return ""
    try:
        return drafts.limits_of(job, job.fit(*row.payload[:2]).by_parameter)
    except BadArguments:
        # The signature has changed: the worker buries it.
        return ""


def _row(run: NewRun, shared: dict[str, Any]) -> JobRun:
    return JobRun(
        id=uuid.UUID(run.id),
        rq_id=run.id,
        payload=json.loads(run.payload),
        arguments=json.loads(run.arguments),
        unique_key=run.unique_key,
        **{"subject": run.subject, **shared},
    )


def _store(asking: Asking, slices: Iterator[list[Draft]], *, using: str) -> Runs:
    """Write the rows and hand what Redis gets to the outbox, all or none."""
    parcels = Spool()
    others: dict[int, Run] = {}
    count = 0
    # Ours begins below.
    in_transaction = asking.job.options.unique is not None and outbox.is_in_transaction(connections[using])
    first, second = next(slices, []), next(slices, [])
    with _all_or_none(asking, first, second, using=using):
        for some in filter(None, chain([first], [second], slices)):
            equal = _write(asking, some, using, watch=in_transaction) if asking.job.options.durable else {}
            parcel = asking.parcel([draft for draft in some if draft.run.id not in equal])
            if parcel.runs:
                parcels.add(parcel, characters=parcel.characters)
            if equal:
                places = {draft.run.id: place for place, draft in enumerate(some, count)}
                others |= {places[run_id]: run for run_id, run in equal.items()}
            count += len(some)
    if len(others) < count:
        outbox.post(parcels, using=using)
    return _handle(asking, count, others=others)


def _all_or_none(asking: Asking, first: list[Draft], second: list[Draft], *, using: str) -> AbstractContextManager[Any]:
    """A transaction where a single statement will not do; with a savepoint where a later call may be refused."""
    unique = asking.job.options.unique
    if not asking.job.options.durable or (len(first) <= 1 and unique is None and asking.batch is None):
        return nullcontext()
    # Who is told that an equal run is there may go on with the transaction.
    may_be_refused = bool(second) or (unique is not None and unique.on_conflict != "skip")
    return transaction.atomic(using=using, savepoint=may_be_refused)


def _store_later(asking: Asking, slices: Iterator[list[Draft]], *, using: str, after: list[str]) -> Runs:
    """Check the calls now, and store them when the transactions of these databases have committed."""
    kept = Spool()
    count = 0
    for some in slices:
        kept.add(some, characters=sum(draft.characters for draft in some))
        count += len(some)
    if count:
        _after_all(after, lambda: _store_unless_pending(asking, kept, using=using))
    return _handle(asking, count, created=None if asking.job.options.unique is not None else True)


def _store_unless_pending(asking: Asking, kept: Spool, *, using: str) -> None:
    try:
        _store(asking, _read(kept), using=using)
    except AlreadyPending as error:
        # The caller has committed, and cannot be refused any more.
        logger.info("nothing was enqueued", extra={"job": asking.job.name, "error": str(error)})


def _read(kept: Spool) -> Iterator[list[Draft]]:
    for some in kept:
        yield [Draft(NewRun(*run), *words) for run, *words in some]


def _handle(asking: Asking, count: int, **facts: Any) -> Runs:
    return Runs(asking.job.name, asking.queue, uuid.UUID(int=asking.first), count, asking.due_at, **facts)


def open_elsewhere(using: str) -> list[str]:
    """The other databases that have a transaction open, if this one has none."""
    if connections[using].in_atomic_block and outbox.is_in_transaction(connections[using]):
        return []
    return [
        other.alias
        for other in connections.all(initialized_only=True)
        if other.in_atomic_block and other.alias != using and outbox.is_in_transaction(other)
    ]


def _after_all(aliases: list[str], act: Callable[[], object]) -> None:
    """Call `act` when the open transactions of all these databases have committed; never when one rolls back."""
    waiting = set(aliases)

    def committed(alias: str) -> None:
        waiting.discard(alias)
        if not waiting:
            act()

    for alias in aliases:
        transaction.on_commit(partial(committed, alias), using=alias)


def _write(asking: Asking, drafts: Sequence[Draft], using: str, *, watch: bool) -> dict[str, Run]:
    """Write the rows, for a unique job without those that have an equal: returns these, by the unused id."""
    runs = [draft.run for draft in drafts]
    equal: dict[str, Run] = {}
    if asking.job.options.unique is None:
        insert(runs, asking.shared(), using=using)
    else:
        written = conflicts.write(asking, runs, using=using)
        if written.waiting and watch:
            _watch(asking, drafts, written, using)
        equal = written.equal
    if asking.batch is not None:
        members = len(runs) - len(equal)
        BatchSlice.objects.using(using).create(batch_id=asking.batch, members=members, due_at=asking.due_at)
    return equal


def _watch(asking: Asking, drafts: Sequence[Draft], written: Written, using: str) -> None:
    """After the commit, ask anew where the run that was given has begun before: it has not seen what was committed.

    Only here, and not in the transaction: as long as that is open, a look says nothing of what follows it.
    """
    watched = [(draft, written.equal[draft.run.id].id) for draft in drafts if draft.run.id in written.waiting]

    def committed() -> None:
        begun = conflicts.begun_since({run_id for _, run_id in watched}, using=using)
        missed = [draft for draft, run_id in watched if run_id in begun]
        if missed:
            _store(asking, iter([missed]), using=using)

    # What was committed stays so, whatever becomes of this: Django logs it.
    transaction.on_commit(committed, using=using, robust=True)
