"""The verbs by which a person asks for a run, and changes the arguments of one that has not ended well."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs import audit, dead, drafts, registry, runs
from jobs.broker.push import push, withdraw
from jobs.enqueueing import build, message_of
from jobs.errors import BadArguments, BrokerUnavailable, NotEditable
from jobs.handles import Run
from jobs.models import DeadJob, JobRun, RunState, UniqueHold
from jobs.policy import arguments as job_arguments
from jobs.policy.redaction import mask
from jobs.policy.unmasking import StillMasked, unmasked
from jobs.registry import Bound, Job, Placing

# For so long a form that is sent again asks for nothing again.
_REMEMBERED = timedelta(hours=1)
EDITABLE = (RunState.DEAD, *runs.CANCELLABLE)


def enqueue(
    name: str,
    arguments: Mapping[str, Any],
    *,
    queue: str | None = None,
    at: datetime | None = None,
    actor: str,
    reason: str = "",
    address: str = "",
    key: str = "",
) -> tuple[Run, bool]:
    """Ask for a run of a registered job, with arguments by parameter. With the run comes whether it is new.

    It is not where an equal run of a unique job is pending, and where this `key` asked for one within the hour.
    Refuses what `Job.enqueue` does, and raises `UnknownJob`.
    """
    job = registry.get(name)
    try:
        with transaction.atomic(using=router.db_for_write(JobRun)):
            hold = _hold(key)
            args, kwargs = job_arguments.spread(job.signature, _fitting(job, arguments))
            run: Run = job.using(queue=queue or None, at=at).enqueue(*args, **kwargs)
            if hold is not None:
                UniqueHold.objects.filter(key=hold).update(run=run.id)
            facts = {"job": run.name, "queue": run.queue, "arguments": drafts.masked(job, dict(arguments))}
            audit.record(
                actor=actor,
                action="enqueue",
                target=str(run.id),
                reason=reason,
                after=facts | ({"due": at.isoformat()} if at else {}),
                address=address,
                outcome="done" if run.created else "nothing to do",
            )
    except _AskedBefore as asked:
        return asked.run, False
    return run, bool(run.created)


def edit(run: JobRun, arguments: Mapping[str, Any], *, actor: str, reason: str = "", address: str = "") -> None:
    """Give a run other arguments and a new life, with all its attempts: a dead one, or one that has not started.

    `arguments` are by parameter, as the masked ones became: what is left masked keeps its value. What is due later
    stays due then; what waited for its next attempt goes to its queue. Raises `NotEditable` when it runs or has ended,
    when it is plain RQ's, and when an equal run is pending; `BadArguments` and its kin where they do not fit the
    signature; `BrokerUnavailable` when Redis cannot say whether it has started.
    """
    try:
        with transaction.atomic(using=router.db_for_write(JobRun)):
            _edit(run, arguments, actor=actor, reason=reason, address=address)
    except IntegrityError as error:
        raise NotEditable(f"{run.name} {run.pk} was left alone: an equal run is pending.") from error


def job_of(run: JobRun) -> Job[..., Any]:
    """The job of a run whose arguments can be changed. Raises `NotEditable` where this code does not know it."""
    job = registry.find(run.name)
    if job is None or len(run.payload) > 2:
        raise NotEditable(
            f"{run.name} is no job that is registered here: its arguments cannot be checked, and stay as they are."
        )
    return job


def _edit(run: JobRun, arguments: Mapping[str, Any], *, actor: str, reason: str, address: str) -> None:
    locked = runs.lock([run.pk])
    if not locked or locked[0].state not in EDITABLE:
        state = locked[0].get_state_display() if locked else "gone"
        raise NotEditable(f"{run.name} {run.pk} is {state}; only dead runs and such that wait can be edited.")
    row = locked[0]
    before = {"state": row.state, "arguments": mask(row.arguments)}
    _give(row, _meant(row, arguments))
    audit.record(
        actor=actor,
        action="edit",
        target=str(row.pk),
        reason=reason,
        before=before,
        after={"arguments": mask(row.arguments)},
        address=address,
    )
    if row.state == RunState.DEAD:
        burial = DeadJob.objects.filter(run=row, resolution="").order_by("-pk").first()
        if burial is None:
            raise NotEditable(f"{row.name} {row.pk} is being dealt with by somebody else.")
        dead.requeue(burial, actor=actor, reason=reason, address=address)
        return
    _begin_anew(row)


def _begin_anew(row: JobRun) -> None:
    """Out of its place in Redis, and into one for its next life. Last in the transaction, as for a cancellation."""
    life, due_at = row.life, row.due_at if row.state == RunState.SCHEDULED else None
    state = RunState.SCHEDULED if due_at and due_at > timezone.now() else RunState.QUEUED
    facts: dict[str, Any] = {"life": life + 1, "attempts": 0, "crashes": 0, "pushed_at": None, "due_at": due_at}
    runs.transition(row, state, at=timezone.now(), **facts)
    runs.save_all([row])
    if withdraw(row.rq_id, queue=row.queue, life=life) in ("started", "ended"):
        raise NotEditable(f"{row.name} {row.pk} has just started; wait for its end, or stop it.")
    transaction.on_commit(lambda: _push(row), using=router.db_for_write(JobRun))


def _push(row: JobRun) -> None:
    # Else the relay does, when Redis is back.
    with suppress(BrokerUnavailable):
        push([message_of(row)], at=timezone.now())


def _meant(row: JobRun, arguments: Mapping[str, Any]) -> Bound:
    """The call that is meant, with the secrets that nobody was shown."""
    job = job_of(row)
    real = dict(job.fit(*row.payload[:2]).by_parameter)
    try:
        whole = unmasked(dict(_fitting(job, arguments)), shown=row.arguments, real=_as_json(real))
    except StillMasked as error:
        raise BadArguments(str(error)) from error
    return Bound(*job_arguments.spread(job.signature, whole))


def _give(row: JobRun, call: Bound) -> None:
    (fresh,) = build(job_of(row), [call], Placing(queue=row.queue))
    row.payload, row.arguments, row.unique_key = fresh.payload, fresh.arguments, fresh.unique_key
    # What the caller said that it is about does not follow from its arguments.
    row.subject = fresh.subject or row.subject
    row.save(update_fields=["payload", "arguments", "unique_key", "subject"])


def _as_json(real: dict[str, Any]) -> dict[str, Any]:
    """What a signature collects in a tuple is a list in JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in real.items()}


def _fitting(job: Job[..., Any], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, of parameters that there are. Raises `BadArguments` for others."""
    if strange := sorted(set(arguments) - set(job.signature.parameters)):
        raise BadArguments(f"{job.name}{job.signature} has no {', '.join(strange)}.")
    return arguments


class _AskedBefore(Exception):
    def __init__(self, run: Run) -> None:
        self.run = run


def _hold(key: str) -> str | None:
    """Remember that this form was sent. Raises `_AskedBefore` when it was before."""
    if not key:
        return None
    hold = hashlib.sha256(f"by hand {key}".encode()).hexdigest()
    until = timezone.now() + _REMEMBERED
    try:
        with transaction.atomic(using=router.db_for_write(UniqueHold)):
            UniqueHold.objects.create(key=hold, run=uuid.UUID(int=0), until=until)
    except IntegrityError as error:
        found = UniqueHold.objects.get(key=hold).run
        row = JobRun.objects.filter(pk=found).first()
        asked = Run(found, row.name if row else "", row.queue if row else "", created=False)
        raise _AskedBefore(asked) from error
    return hold
