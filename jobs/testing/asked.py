"""What was asked for, what a test expected, and how the two differ. Raises nothing of its own but bad questions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import ANY

from jobs import conf
from jobs.errors import BadOptions
from jobs.models import JobRun
from jobs.policy import arguments as job_arguments
from jobs.registry import Job


@dataclass(frozen=True)
class Enqueued:
    """One run that was asked for.

    `arguments` are by parameter name as the job will get them, after JSON and with its defaults.
    `due_at` is None for a run that may start at once.
    """

    id: uuid.UUID
    name: str
    arguments: dict[str, Any]
    queue: str
    attempts: int
    asked_at: datetime
    due_at: datetime | None

    @property
    def delay(self) -> timedelta:
        """How long after asking the run is due; zero for at once."""
        return (self.due_at or self.asked_at) - self.asked_at

    def __repr__(self) -> str:
        when = f", due {_in_words(self.delay)}" if self.due_at else ""
        return f"{call(self.name, self.arguments)} on {self.queue}{when}"


@dataclass(frozen=True)
class Expected:
    """What a test expects. None is for what may be anything; `within` is how far off `at` may be."""

    name: str
    arguments: dict[str, Any] | None
    queue: str | None
    at: datetime | timedelta | None
    within: timedelta

    def differences(self, enqueued: Enqueued) -> list[str]:
        """How a run of the same job differs, as texts; none where it is as expected."""
        return [*self._arguments_of(enqueued), *self._queue_of(enqueued), *self._time_of(enqueued)]

    def __str__(self) -> str:
        words = [f"{self.name}(…)" if self.arguments is None else call(self.name, self.arguments)]
        if self.queue is not None:
            words.append(f"on {self.queue}")
        if self.at is not None:
            words.append(f"due {_in_words(self.at)}")
        return " ".join(words)

    def _arguments_of(self, enqueued: Enqueued) -> list[str]:
        if self.arguments is None:
            return []
        return [
            f"{name} is {enqueued.arguments[name]!r}, not {wanted!r}"
            for name, wanted in self.arguments.items()
            # The expected value comes first, for `mock.ANY` to be asked.
            if wanted != enqueued.arguments[name]
        ]

    def _queue_of(self, enqueued: Enqueued) -> list[str]:
        if self.queue in (None, enqueued.queue):
            return []
        return [f"it is on {enqueued.queue}, not {self.queue}"]

    def _time_of(self, enqueued: Enqueued) -> list[str]:
        if self.at is None:
            return []
        if isinstance(self.at, datetime):
            actual: datetime | timedelta = enqueued.due_at or enqueued.asked_at
            off = abs(actual - self.at)  # type: ignore[operator]
        else:
            actual = enqueued.delay
            off = abs(actual - self.at)
        return [f"it is due {_in_words(actual)}, not {_in_words(self.at)}"] if off > self.within else []


def enqueued_from(row: JobRun, job: Job[Any, Any]) -> Enqueued:
    """A row that was built for a run, as a test sees it."""
    args, kwargs = json.loads(json.dumps(row.payload))
    return Enqueued(
        id=row.pk,
        name=row.name,
        arguments=_by_name(job, args, kwargs),
        queue=row.queue,
        attempts=row.max_attempts,
        asked_at=row.created_at,
        due_at=row.due_at,
    )


def expect(
    job: Job[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    queue: str | None,
    at: datetime | timedelta | float | None,
    within: timedelta | float | None,
) -> Expected:
    """What a test expects. No arguments at all stand for any.

    Raises what enqueueing with such arguments would raise, for nothing could ever be as expected then.
    """
    if within is not None and at is None:
        raise BadOptions("within= says how far off at= may be; pass at= as well, such as at=60, within=1")
    arguments = _checked(job, args, kwargs) if args or kwargs else None
    when = at if at is None or isinstance(at, datetime) else _span(at)
    return Expected(job.name, arguments, queue, when, _span(within or 0))


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as text, of arguments as they are: these are a test's."""
    return f"{name}({', '.join(f'{parameter}={value!r}' for parameter, value in arguments.items())})"


def _checked(job: Job[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    bound = job_arguments.bind(job.signature, job.name, args, kwargs)
    plain = {name: _without_any(value) for name, value in bound.arguments.items()}
    job_arguments.dump(plain, name=job.name, limit=conf.get().MAX_ARGUMENT_BYTES)
    return _by_name(job, args, kwargs)


def _by_name(job: Job[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    bound = job_arguments.bind(job.signature, job.name, args, kwargs)
    bound.apply_defaults()
    return {name: _as_json_has_it(value) for name, value in bound.arguments.items()}


def _as_json_has_it(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_json_has_it(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json_has_it(item) for key, item in value.items()}
    return value


def _without_any(value: Any) -> Any:
    """The value with None for each `mock.ANY`, which would match what no job can be given."""
    if isinstance(value, list | tuple):
        return [_without_any(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_any(item) for key, item in value.items()}
    return None if value is ANY else value


def _span(length: timedelta | float) -> timedelta:
    return length if isinstance(length, timedelta) else timedelta(seconds=length)


def _in_words(when: datetime | timedelta) -> str:
    if isinstance(when, datetime):
        return f"at {when.isoformat(sep=' ')}"
    return f"in {when.total_seconds():g} s" if when else "at once"
