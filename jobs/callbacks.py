"""The jobs that are enqueued for runs that died and for attempts that failed: `on_death`, `on_failure`, and those of
`JOBS`. Who stores the failure enqueues them in the same transaction, so each is enqueued once.

No run that a callback brought about has callbacks: one that fails would bring about the next for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, router, transaction
from django.db.models import Q

from jobs import conf, enqueueing, registry
from jobs.errors import ArgumentsNotJSON, ArgumentsTooLarge, JobsError
from jobs.models import JobRun
from jobs.policy.failed_run import FailedRun
from jobs.policy.outcome import Expired
from jobs.registry import Bound, Job, Placing

logger = logging.getLogger(__name__)

# What all runs carry that a callback brought about, as what it all began with.
MARK = "callback of "
TELLS_TRACKER = "jobs.tell_error_tracker"


@dataclass(frozen=True)
class Callback:
    """One job that is to be enqueued, and what it is told of `run`."""

    name: str
    run: JobRun
    failed: FailedRun

    @property
    def placing(self) -> Placing:
        began_with = (self.run.correlation or str(self.run.pk)).removeprefix(MARK)
        return Placing(parent=self.run.pk, correlation=f"{MARK}{began_with}"[:100])

    def calls(self) -> list[Bound]:
        """The call, and one without the arguments of the run, where they are too large to be passed on."""
        return [Bound((told,), {}) for told in (self.failed, {**self.failed, "arguments": {}})]


def due(run: JobRun, settled: Mapping[str, Any], *, at: datetime) -> list[Callback]:
    """The callbacks of an attempt, of which the journal says `settled`."""
    if settled["verdict"] not in ("retry", "bury"):
        return []
    names = [] if run.correlation.startswith(MARK) else list(_names(run.name, settled))
    names += _tracker(run.name, settled)
    if not names:
        return []
    failed = _failed(run, settled, at)
    return [Callback(name, run, failed) for name in dict.fromkeys(map(registry.full_name, names))]


def enqueue(callbacks: Iterable[Callback]) -> None:
    """Enqueue them in the transaction that is open; one that cannot be is logged, and keeps nothing else back."""
    for callback in callbacks:
        try:
            with transaction.atomic(using=router.db_for_write(JobRun)):
                _enqueue(callback)
        except (OperationalError, InterfaceError):
            raise
        except (JobsError, DatabaseError, ValueError) as error:
            logger.error(
                "the callback %s cannot be enqueued: %s",
                callback.name,
                error,
                extra={"job": callback.run.name, "run": str(callback.run.pk)},
            )


def begun_with(name: str) -> Q:
    """The runs that one request or run brought about, by its correlation, with callbacks. An index serves it."""
    # SQLite takes the index for nothing but its condition, word by word.
    return Q(correlation__in=[name, f"{MARK}{name}"[:100]]) & ~Q(correlation="")


def job_of(callback: Callback) -> Job[..., Any]:
    """The job to enqueue. Raises `UnknownJob`."""
    return registry.get(callback.name)


def _enqueue(callback: Callback) -> None:
    whole, brief = callback.calls()
    try:
        enqueueing.enqueue(job_of(callback), [whole], callback.placing)
    except (ArgumentsTooLarge, ArgumentsNotJSON):
        enqueueing.enqueue(job_of(callback), [brief], callback.placing)


def _names(job_name: str, settled: Mapping[str, Any]) -> Iterator[str]:
    job = registry.find(job_name)
    options = job.options if job is not None else None
    if settled["verdict"] == "bury":
        yield from filter(None, (options and options.on_death, conf.get().ON_DEATH))
    # What a job asks for itself has no cause: nothing went wrong.
    if settled["outcome"] != Expired.name and "cause" in settled:
        yield from filter(None, (options and options.on_failure, conf.get().ON_FAILURE))


def _tracker(job_name: str, settled: Mapping[str, Any]) -> list[str]:
    """The job that tells the error tracker, of callbacks too; but what it fails at is not told by itself."""
    choices = conf.get()
    if not choices.ERROR_TRACKER or job_name == TELLS_TRACKER:
        return []
    is_told = settled["verdict"] == "bury" or (choices.ERROR_TRACKER_HEARS == "failures" and "cause" in settled)
    return [TELLS_TRACKER] if is_told else []


def _failed(run: JobRun, settled: Mapping[str, Any], at: datetime) -> FailedRun:
    return FailedRun(
        run_id=str(run.pk),
        job=run.name,
        queue=run.queue,
        arguments=run.arguments if isinstance(run.arguments, dict) else {},
        attempt=settled["attempt"],
        attempts=run.max_attempts,
        outcome=settled["outcome"],
        verdict=settled["verdict"],
        reason=settled.get("reason", "") if settled["verdict"] == "bury" else "",
        error_class=settled.get("error_class", ""),
        error_message=settled.get("error_message", ""),
        at=at.isoformat(),
    )
