"""Puts runs into the system: a row in the caller's transaction, a push after its commit."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from jobs import conf, failpoints, registry
from jobs.broker.foreign import Foreign
from jobs.broker.push import Message, push
from jobs.context import current_run_or_none
from jobs.errors import BadArguments, BadOptions, BrokerUnavailable, UnknownQueue, did_you_mean
from jobs.models import JobRun, RunState
from jobs.models.runs import PENDING_STATES
from jobs.policy import arguments as job_arguments
from jobs.policy import ids, redaction
from jobs.policy.uniqueness import unique_key
from jobs.registry import Bound, Call, Job, Placing
from jobs.signals import job_enqueued

logger = logging.getLogger(__name__)

# A run that the relay pushed meanwhile may have ended and left Redis after 60 s; this is well before.
_LATEST_PUSH_SECONDS = 30.0
_ROWS_AT_ONCE = 500
# An equal run that ends between our look and our insert makes us look again.
_UNIQUE_TRIES = 5


@dataclass(frozen=True)
class Run:
    """What `enqueue` gives back. `created` is False when an equal run of a unique job was pending: this is that one."""

    id: uuid.UUID
    name: str
    queue: str
    due_at: datetime | None = None
    created: bool = True

    def row(self) -> JobRun:
        """The run's row as it is now. Raises `JobRun.DoesNotExist` for one that is not durable, or was pruned."""
        return JobRun.objects.get(pk=self.id)

    @property
    def state(self) -> str:
        return self.row().state

    @property
    def result(self) -> Any:
        """What the job returned, once it has succeeded: plain JSON, or None when it was too large to keep."""
        return self.row().result


def enqueue(job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> list[Run]:
    """Ask for a run per call; all or none. See `Job.enqueue` for what is refused."""
    rows = build(job, calls, placing)
    runs = [run_of(row) for row in rows]
    if job.options.durable:
        rows, runs = _insert(job, rows, runs)
    if rows:
        messages = [message_of(row, durable=job.options.durable) for row in rows]
        _push_after_commit(job, messages)
    return runs


def build(job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> list[JobRun]:
    """A row per call, checked and not saved. See `Job.enqueue` for what is refused."""
    now = timezone.now()
    queue = _known_queue(placing.queue or job.options.queue, job)
    due_at = _due_at(placing.at, now)
    fresh = ids.in_order(time.time_ns(), iter(lambda: os.urandom(8), b""))
    return [_row(job, call, id=next(fresh), queue=queue, due_at=due_at, now=now, placing=placing) for call in calls]


def run_of(row: JobRun, *, created: bool = True) -> Run:
    """The handle of a row."""
    return Run(row.pk, row.name, row.queue, row.due_at, created=created)


def message_of(row: JobRun, *, durable: bool = True) -> Message:
    """A row as Redis gets it."""
    job = registry.find(row.name)
    timeout = (job.options.timeout if job else None) or conf.get().DEFAULT_TIMEOUT
    return Message(
        run_id=row.rq_id,
        name=row.name,
        queue=row.queue,
        life=row.life,
        payload=row.payload[:2],
        description=describe(row.name, row.arguments),
        created_at=row.created_at,
        timeout=timeout,
        durable=durable,
        attempts=row.options.get("attempts"),
        begun=row.attempts,
        due_at=row.due_at,
        parent=str(row.parent or ""),
        correlation=row.correlation,
        # Plain RQ's message stands behind the arguments, which only show what is in it.
        foreign=Foreign(str(row.pk), row.payload[2]) if len(row.payload) > 2 else None,
    )


def describe(name: str, arguments: dict[str, Any]) -> str:
    """A call as text, of masked arguments: `orders.charge_order(order_id=17)`."""
    words = ", ".join(f"{parameter}={value!r}" for parameter, value in arguments.items())
    return f"{name}({words})"[:500]


def masked(job: Job[Any, Any] | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name as they may be stored for display."""
    return redaction.mask(arguments, sensitive=sensitive_names(job))


def sensitive_names(job: Job[Any, Any] | None) -> tuple[str, ...]:
    """The argument names that are masked beside those that always are."""
    return (*(job.options.sensitive if job else ()), *conf.get().SENSITIVE)


def _row(
    job: Job[Any, Any],
    call: Call | Bound,
    *,
    id: uuid.UUID,
    queue: str,
    due_at: datetime | None,
    now: datetime,
    placing: Placing,
) -> JobRun:
    args, kwargs = _spread(call)
    bound = job_arguments.bind(job.signature, job.name, args, kwargs)
    text = job_arguments.dump(bound.arguments, name=job.name, limit=conf.get().MAX_ARGUMENT_BYTES)
    plain = json.loads(text)
    current = current_run_or_none()
    parent = current.id if current is not None and isinstance(current.id, uuid.UUID) else None
    return JobRun(
        id=id,
        rq_id=str(id),
        name=job.name,
        queue=queue,
        state=RunState.SCHEDULED if due_at else RunState.QUEUED,
        payload=[list(bound.args), bound.kwargs],
        arguments=masked(job, plain),
        options={"attempts": placing.attempts} if placing.attempts else {},
        unique_key=_unique_key(job, plain),
        max_attempts=placing.attempts or job.options.retry.attempts,
        created_at=now,
        due_at=due_at,
        parent=parent,
        correlation=(current.correlation or str(current.id)) if current else "",
    )


def _unique_key(job: Job[Any, Any], arguments: dict[str, Any]) -> str | None:
    if job.options.unique is None:
        return None
    parameters = job.signature.parameters.values()
    # A call that leaves a default out is equal to one that says it.
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    return unique_key(job.name, defaults | arguments, job.options.unique)


def _spread(call: Call | Bound) -> tuple[Sequence[Any], dict[str, Any]]:
    if isinstance(call, Bound):
        return call.args, call.kwargs
    if isinstance(call, dict):
        return (), call
    if isinstance(call, list | tuple):
        return call, {}
    raise BadArguments(
        f"enqueue_many was given {call!r}: pass each call as a tuple of arguments, "
        f"such as ({call!r},), or a dict by name."
    )


def _known_queue(queue: str, job: Job[Any, Any]) -> str:
    known = conf.queue_names()
    if queue not in known:
        raise UnknownQueue(
            f'{job.name}: there is no queue "{queue}".{did_you_mean(queue, known)} '
            f"Add it to RQ_QUEUES, or name one of {known}."
        )
    return queue


def _due_at(at: datetime | timedelta | float | None, now: datetime) -> datetime | None:
    if at is None:
        return None
    try:
        when = at if isinstance(at, datetime) else now + (at if isinstance(at, timedelta) else timedelta(seconds=at))
    except OverflowError as error:
        raise BadOptions(f"a delay of {at!r}: dates end before that; pass a shorter one") from error
    return when if when > now else None


def _insert(job: Job[Any, Any], rows: list[JobRun], runs: list[Run]) -> tuple[list[JobRun], list[Run]]:
    """Write the rows, all or none; for a unique job, only those that have no pending equal."""
    if job.options.unique is None:
        JobRun.objects.bulk_create(rows, batch_size=_ROWS_AT_ONCE)
        return rows, runs
    with transaction.atomic(using=router.db_for_write(JobRun), savepoint=False):
        return _insert_unique_ones(rows, runs)


def _insert_unique_ones(rows: list[JobRun], runs: list[Run]) -> tuple[list[JobRun], list[Run]]:
    placed: dict[str, Run] = {}
    inserted: list[JobRun] = []
    for row, run in zip(rows, runs, strict=True):
        assert row.unique_key is not None
        if row.unique_key in placed:
            continue
        placed[row.unique_key] = _insert_unique(row, run)
        if placed[row.unique_key].created:
            inserted.append(row)
    first_of = {row.unique_key: row.pk for row in inserted}
    return inserted, [
        run if first_of.get(row.unique_key) == run.id else _again(placed[str(row.unique_key)])
        for row, run in zip(rows, runs, strict=True)
    ]


def _insert_unique(row: JobRun, run: Run) -> Run:
    for _ in range(_UNIQUE_TRIES):
        JobRun.objects.bulk_create([row], ignore_conflicts=True)
        pending = JobRun.objects.filter(unique_key=row.unique_key, state__in=PENDING_STATES).first()
        if pending is not None and pending.pk == row.pk:
            return run
        if pending is not None:
            return run_of(pending, created=False)
    raise BrokerUnavailable(f"{row.name}: equal runs came and went {_UNIQUE_TRIES} times; try again.")


def _again(run: Run) -> Run:
    return Run(run.id, run.name, run.queue, run.due_at, created=False)


def _push_after_commit(job: Job[Any, Any], messages: list[Message]) -> None:
    asked = time.monotonic()
    using = router.db_for_write(JobRun)
    in_transaction = transaction.get_connection(using).in_atomic_block

    def push_now() -> None:
        if job.options.durable and time.monotonic() - asked > _LATEST_PUSH_SECONDS:
            return
        if failpoints.armed:
            failpoints.reach("before_push")
        try:
            push(messages, at=timezone.now())
        except BrokerUnavailable as error:
            if not job.options.durable and not in_transaction:
                raise
            _tell_of_failed_push(job, messages, error)
            return
        if failpoints.armed:
            failpoints.reach("after_push")
        job_enqueued.send_robust(job.name, run_ids=[message.run_id for message in messages])

    transaction.on_commit(push_now, using=using)


def _tell_of_failed_push(job: Job[Any, Any], messages: list[Message], error: BrokerUnavailable) -> None:
    facts = {"job": job.name, "count": len(messages), "run": messages[0].run_id, "error": str(error)}
    if job.options.durable:
        logger.warning("push failed; the relay will push when Redis is back", extra=facts)
    else:
        logger.error("push failed; runs that are not durable are lost", extra=facts)
