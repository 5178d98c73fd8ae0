"""Attempts at jobs that plain RQ or django-rq enqueued: called as RQ's own worker would, ended as ours are.

1. The message is read, and RQ's message object made of it.
2. The function is called, as one of ours is.
3. RQ's callbacks are called. See `foreign_words` for what follows.

What must not be lost is no business of this module: leases, tokens, journal and rows are the same as for ours.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django_rq.workers import get_exception_handlers
from rq.job import Retry as RQRetry
from rq.job import _current_job
from rq.job_lifecycle import call_exception_handlers

from jobs import conf
from jobs.broker import foreign
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.foreign import Call
from jobs.context import CurrentRun
from jobs.errors import BadArguments, JobTimedOut, NotAllowed, UnknownJob
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS
from jobs.policy.outcome import NotAccepted, NotKnown, Outcome, Raised, Returned, TimedOut
from jobs.rq_classes import JobsJob
from jobs.worker import foreign_rows, orders, spans, stopping
from jobs.worker.desk import ForeignDesk
from jobs.worker.event_loop import run_async
from jobs.worker.foreign_words import AskedToRetry, policy_of
from jobs.worker.middleware.database import database_connections
from jobs.worker.middleware.timing import time_limit

logger = logging.getLogger(__name__)

_ERRORS = (Raised, TimedOut)


def outcome_of(claim: Claim, *, worker: str, unknown_for: float, perform: Callable[[CurrentRun], Outcome]) -> Outcome:
    """Let `perform` run the function, then call RQ's callbacks, and say how it ended. Never raises."""
    try:
        rq_job = _rq_job(claim)
        run = _run_of(claim, rq_job, worker=worker)
    except NotAllowed as error:
        # No deploy brings this one: a person decides.
        return NotKnown(error, math.inf)
    except UnknownJob as error:
        return NotKnown(error, unknown_for)
    except (BadArguments, ValueError) as error:
        return NotAccepted(error)
    except BaseException as error:
        return Raised(error)
    with _as_current(rq_job):
        return _called_back(claim, rq_job, run, perform(run))


def _rq_job(claim: Claim) -> JobsJob:
    """RQ's message object, as `get_current_job` and callbacks get it. Raises `BadArguments`."""
    rq_job = JobsJob(connection=client(), serializer=foreign.serializer_of(claim))
    # Set past RQ's check: earlier versions of RQ took any text for an id.
    rq_job._id = claim.run_id
    try:
        rq_job.restore(claim.raw)
    except Exception as error:
        raise BadArguments(f"Its hash in Redis cannot be read: {type(error).__name__}: {error}.") from error
    return rq_job


def _run_of(claim: Claim, rq_job: JobsJob, *, worker: str) -> CurrentRun:
    call = foreign.call_of(claim)
    rq_job._instance, rq_job._args, rq_job._kwargs = call.instance, call.args, call.kwargs
    foreign_rows.remember(claim, call)
    _check_arguments(call)
    timeout = _timeout(rq_job)
    is_async = inspect.iscoroutinefunction(call.function)
    return CurrentRun(
        id=claim.run_id,
        name=call.name,
        queue=claim.queue,
        attempt=claim.attempt,
        attempts=policy_of(claim).attempts,
        timeout=timeout,
        deadline=datetime.now(UTC) + timedelta(seconds=timeout),
        worker=worker,
        correlation=claim.run_id,
        is_async=is_async,
        call=_caller(call, timeout, is_async=is_async),
        trace=spans.trace_of(claim),
        wait_ms=claim.wait_ms,
        stop_asked=lambda: stopping.is_ending() or orders.of(claim.token) is not None,
        desk=ForeignDesk(claim),
    )


def _check_arguments(call: Call) -> None:
    try:
        inspect.signature(call.function).bind(*call.args, **call.kwargs)
    except TypeError as error:
        raise BadArguments(f"{call.name}: {error}. Enqueue it with what its signature asks for.") from error
    except ValueError:
        # A function in C may have no signature.
        return


def _caller(call: Call, timeout: float, *, is_async: bool) -> Callable[[], Any]:
    function, args, kwargs = call.function, call.args, call.kwargs
    if is_async:
        return lambda: run_async(lambda: function(*args, **kwargs), timeout=timeout)

    def call_it() -> Any:
        result = function(*args, **kwargs)
        # RQ awaits whatever coroutine a plain function returns.
        return run_async(lambda: result, timeout=timeout) if inspect.iscoroutine(result) else result

    return call_it


def _timeout(rq_job: JobsJob) -> float:
    # RQ's -1 is no limit.
    if rq_job.timeout is not None and rq_job.timeout < 0:
        return LONGEST_TIMEOUT_SECONDS
    return min(LONGEST_TIMEOUT_SECONDS, rq_job.timeout or conf.get().DEFAULT_TIMEOUT)


@contextlib.contextmanager
def _as_current(rq_job: JobsJob) -> Iterator[None]:
    """Let RQ's `get_current_job` find it."""
    token = _current_job.set(rq_job)
    try:
        yield
    finally:
        _current_job.reset(token)


def _called_back(claim: Claim, rq_job: JobsJob, run: CurrentRun, outcome: Outcome) -> Outcome:
    """The outcome after RQ's callbacks; a callback that fails makes the attempt one that failed, as in RQ."""
    if isinstance(outcome, Returned):
        if isinstance(outcome.result, RQRetry):
            return Raised(AskedToRetry(outcome.result, done=claim.number("number_of_retries")))
        outcome = _after_success(rq_job, run, outcome)
    if not isinstance(outcome, _ERRORS):
        return outcome
    if orders.of(claim.token) is not None:
        return _after_stop(rq_job, run, outcome)
    return _after_failure(rq_job, run, outcome)


def _after_success(rq_job: JobsJob, run: CurrentRun, outcome: Returned) -> Outcome:
    def call() -> None:
        if (callback := rq_job.success_callback) is not None:
            callback(rq_job, rq_job.connection, outcome.result)

    failure = _failure_of(run, call, rq_job.success_callback_timeout)
    return outcome if failure is None else Raised(failure)


def _after_failure(rq_job: JobsJob, run: CurrentRun, outcome: Raised | TimedOut) -> Outcome:
    error = outcome.error

    def call() -> None:
        if (callback := rq_job.failure_callback) is not None:
            callback(rq_job, rq_job.connection, type(error), error, error.__traceback__)

    def handle() -> None:
        call_exception_handlers(get_exception_handlers(), rq_job, type(error), error, error.__traceback__)

    failure = _failure_of(run, call, rq_job.failure_callback_timeout)
    if failure is not None:
        return Raised(failure)
    failure = _failure_of(run, handle, rq_job.failure_callback_timeout)
    return outcome if failure is None else Raised(failure)


def _after_stop(rq_job: JobsJob, run: CurrentRun, outcome: Outcome) -> Outcome:
    def call() -> None:
        if (callback := rq_job.stopped_callback) is not None:
            callback(rq_job, rq_job.connection)

    if (failure := _failure_of(run, call, rq_job.stopped_callback_timeout)) is not None:
        logger.error("the stopped callback of %s failed: %r", run.name, failure)
    return outcome


def _failure_of(run: CurrentRun, call: Callable[[], None], seconds: float) -> BaseException | None:
    """What `call` raised, within its own time limit and with connections in order."""
    limited = replace(run, call=call, timeout=seconds, is_async=False)
    try:
        database_connections(time_limit(lambda one: one.call()))(limited)
    except JobTimedOut as error:
        return JobTimedOut(f"its callback ran longer than {seconds:g} s").with_traceback(error.__traceback__)
    except BaseException as error:
        return error
    return None
