"""Checks calls of jobs and writes down what rows and Redis will have of them. Stores nothing."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from jobs import conf
from jobs.broker.parcels import Parcel, data_of, parcel
from jobs.context import current_correlation, current_run_id
from jobs.errors import BadArguments, BadOptions, JobsError, UnknownQueue, did_you_mean
from jobs.models.insertion import NewRun
from jobs.policy import arguments as job_arguments
from jobs.policy import ids, limits, redaction
from jobs.policy.uniqueness import unique_key
from jobs.registry import Bound, Call, Job, Placing

# So many calls are checked, written and packed together, or fewer where they are long.
_SLICE_RUNS = 1000
_SLICE_CHARACTERS = 1_000_000
# No call of `enqueue_many` is longer.
_MOST_CALLS = 2**32


class Draft(NamedTuple):
    """One call, checked: its row's own part, and how it is described to people."""

    run: NewRun
    description: str
    # What its lane is named by, empty where nothing limits the job.
    limits: str = ""

    @property
    def characters(self) -> int:
        return len(self.run.payload) + len(self.run.arguments) + len(self.description)


@dataclass(frozen=True)
class Asking:
    """One call of `enqueue` or `enqueue_many`: what its runs have in common.

    Their ids are counted up from `first`.
    """

    job: Job[Any, Any]
    first: int
    queue: str
    asked_at: datetime
    due_at: datetime | None
    attempts: int | None
    expires_at: datetime | None
    parent: uuid.UUID | None
    correlation: str
    batch: int | None = None
    subject: str | None = None
    # Of the span of this enqueue.
    traceparent: str = ""

    def has(self, run_id: uuid.UUID) -> bool:
        """Whether this call asked for the run."""
        return 0 <= run_id.int - self.first < _MOST_CALLS

    def slices(self, calls: Iterable[Call | Bound]) -> Iterator[list[Draft]]:
        """The calls as drafts, some at a time, each checked as it comes. See `Job.enqueue` for what is refused."""
        some: list[Draft] = []
        characters = 0
        for draft in self.drafts(calls):
            some.append(draft)
            characters += draft.characters
            if len(some) == _SLICE_RUNS or characters > _SLICE_CHARACTERS:
                yield some
                some, characters = [], 0
        if some:
            yield some

    def drafts(self, calls: Iterable[Call | Bound]) -> Iterator[Draft]:
        """The calls, each checked as it comes. See `Job.enqueue` for what is refused."""
        limit, sensitive = conf.get().MAX_ARGUMENT_BYTES, sensitive_names(self.job)
        for number, call in enumerate(calls, self.first):
            try:
                draft = self._draft(ids.as_text(number), call, limit=limit, sensitive=sensitive)
            except JobsError as error:
                if not isinstance(call, Bound):
                    error.add_note(f"It was call {number - self.first + 1} of this enqueue_many.")
                raise
            yield draft

    def shared(self) -> dict[str, Any]:
        """What all rows have, by field; what is not said is as the model has it."""
        facts = {
            "name": self.job.name,
            "queue": self.queue,
            "state": "scheduled" if self.due_at else "queued",
            "max_attempts": self.attempts or self.job.options.retry.attempts,
            "created_at": self.asked_at,
            "options": self._options(),
            "due_at": self.due_at,
            "parent": self.parent,
            "correlation": self.correlation,
            "batch_id": self.batch,
            "subject": self.subject,
        }
        return {field: value for field, value in facts.items() if value}

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"attempts": self.attempts} if self.attempts else {}
        options |= {"expires_at": self.expires_at.isoformat()} if self.expires_at else {}
        return options | ({"traceparent": self.traceparent} if self.traceparent else {})

    def parcel(self, drafts: Iterable[Draft]) -> Parcel:
        """Drafts as Redis gets them."""
        name, drafts = self.job.name, list(drafts)
        return parcel(
            name=name,
            queue=self.queue,
            created_at=self.asked_at,
            timeout=self.job.options.timeout or conf.get().DEFAULT_TIMEOUT,
            durable=self.job.options.durable,
            attempts=self.attempts,
            expires_at=self.expires_at,
            due_at=self.due_at,
            parent=str(self.parent or ""),
            correlation=self.correlation,
            traceparent=self.traceparent,
            runs=[text for run, words, _ in drafts for text in (run.id, data_of(name, run.payload), words)],
            limits=[draft.limits for draft in drafts] if self.job.options.limits else (),
        )

    def _draft(self, run_id: str, call: Call | Bound, *, limit: int, sensitive: Sequence[str]) -> Draft:
        job = self.job
        args, kwargs, by_parameter = job.fit(*_spread(call))
        text = job_arguments.dump(by_parameter, name=job.name, limit=limit)
        plain = by_parameter if all(map(job_arguments.is_plain, by_parameter.values())) else json.loads(text)
        shown = redaction.mask(plain, sensitive=sensitive)
        return Draft(
            NewRun(
                run_id,
                job_arguments.dump_payload(args, kwargs),
                text if shown == plain else json.dumps(shown),
                _unique_key(job, plain),
                None if self.subject or job.options.subject is None else job.options.subject.of(plain),
            ),
            describe(job.name, shown),
            limits_of(job, plain),
        )


def ask(job: Job[Any, Any], placing: Placing) -> Asking:
    """What the runs of this moment, this place and this current run will have in common.

    Raises `UnknownQueue`, and `BadOptions` for a delay beyond the end of the calendar, and for a member of a batch
    that would have no row.
    """
    if placing.batch is not None and not job.options.durable:
        raise BadOptions(f"{job.name} is not durable, and a batch counts rows; leave durable=False out")
    now = timezone.now()
    due_at = _due_at(placing.at, now)
    return Asking(
        job=job,
        first=ids.first_of_many(time.time_ns(), os.urandom(8)),
        queue=_known_queue(placing.queue or job.options.queue, job),
        asked_at=now,
        due_at=due_at,
        attempts=placing.attempts,
        expires_at=_expires_at(placing.expires or job.options.expires, due_at or now),
        parent=placing.parent or current_run_id(),
        correlation=placing.correlation or current_correlation(),
        batch=placing.batch,
        subject=placing.subject,
    )


def describe(name: str, arguments: dict[str, Any]) -> str:
    """A call as text, of masked arguments: `orders.charge_order(order_id=17)`."""
    words = ", ".join([f"{parameter}={value!r}" for parameter, value in arguments.items()])
    return f"{name}({words})"[:500]


def masked(job: Job[Any, Any] | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name as they may be stored for display."""
    return redaction.mask(arguments, sensitive=sensitive_names(job))


def sensitive_names(job: Job[Any, Any] | None) -> tuple[str, ...]:
    """The argument names that are masked beside those that always are."""
    return (*(job.options.sensitive if job else ()), *conf.get().SENSITIVE)


def limits_of(job: Job[Any, Any], arguments: Mapping[str, Any]) -> str:
    """What the lane of a call is named by, empty where nothing limits the job. `arguments` are by parameter."""
    if not job.options.limits:
        return ""
    return limits.group(job.options.limits, job=job.name, arguments=_with_defaults(job, arguments))


def _unique_key(job: Job[Any, Any], arguments: Mapping[str, Any]) -> str | None:
    if job.options.unique is None:
        return None
    return unique_key(job.name, _with_defaults(job, arguments), job.options.unique.by)


def _with_defaults(job: Job[Any, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call that leaves a default out is equal to one that says it."""
    parameters = job.signature.parameters.values()
    return {**{one.name: one.default for one in parameters if one.default is not one.empty}, **arguments}


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


def _expires_at(expires: datetime | timedelta | None, due_at: datetime) -> datetime | None:
    if expires is None or isinstance(expires, datetime):
        return expires
    try:
        return due_at + expires
    except OverflowError as error:
        raise BadOptions(f"expires={expires!r}: dates end before that; pass a shorter one") from error
