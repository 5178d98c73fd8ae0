"""Attempts at jobs that plain RQ or django-rq enqueued: called as RQ's own worker would, ended as ours are.

1. `outcome_of` reads the message, calls the function, then RQ's callbacks.
2. `policy_of` says in our words what RQ's `Retry` asks for.
3. `completed` says in RQ's words how it ended, for whoever reads results and registries with RQ.

What must not be lost is no business of this module: leases, tokens, journal and rows are the same as for ours.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import math
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django_rq.workers import get_exception_handlers
from rq.defaults import DEFAULT_FAILURE_TTL, DEFAULT_RESULT_TTL, UNSERIALIZABLE_RETURN_VALUE_PAYLOAD
from rq.job import Retry as RQRetry
from rq.job import _current_job
from rq.job_lifecycle import call_exception_handlers
from rq.results import Result

from jobs import conf
from jobs.broker import foreign
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.foreign import Call
from jobs.broker.foreign_ending import ForeignEnding
from jobs.broker.settle import Settlement
from jobs.context import CurrentRun
from jobs.errors import BadArguments, JobTimedOut, NotAllowed, UnknownJob
from jobs.policy.foreign import forgiving_crashes
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS
from jobs.policy.outcome import Crashed, NotAccepted, NotKnown, Outcome, Raised, Returned, TimedOut
from jobs.policy.retry import Bury, Cancel, Discard, Done, Retry, RetryPolicy, Verdict
from jobs.rq_classes import JobsJob
from jobs.worker import foreign_rows, orders, stopping
from jobs.worker.event_loop import run_async
from jobs.worker.middleware.database import database_connections
from jobs.worker.middleware.timing import time_limit

logger = logging.getLogger(__name__)

_ERRORS = (Raised, TimedOut)
_ENDS = (Done, Discard, Bury, Cancel)
# RQ's numbers of the kinds of result.
_SUCCESSFUL, _FAILED, _STOPPED = Result.Type.SUCCESSFUL, Result.Type.FAILED, Result.Type.STOPPED


class AskedToRetry(Exception):
    """The job returned RQ's `Retry`, which asks for another attempt after `retry_after` seconds."""

    def __init__(self, asked: RQRetry, *, done: int) -> None:
        super().__init__(f"the job returned {asked!r}")
        self.retry_after = float(RQRetry.get_interval(done, asked.intervals))
        self.left = max(0, asked.max - done)
        self.at_front = asked.enqueue_at_front


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


def policy_of(claim: Claim, outcome: Outcome | None = None) -> RetryPolicy:
    """When RQ's options would run it again. A crash of its process uses up none of RQ's retries."""
    error = getattr(outcome, "error", None)
    if isinstance(error, AskedToRetry):
        return RetryPolicy(attempts=claim.attempt + error.left, jitter=0.0)
    policy = foreign.retry_policy_of(claim)
    return forgiving_crashes(policy) if isinstance(outcome, Crashed) else policy


def completed(settlement: Settlement, outcome: Outcome, verdict: Verdict, *, worker: str) -> Settlement:
    """The settlement with what RQ's readers look for. Never raises."""
    traceback = (settlement.entry or {}).get("traceback", "")
    try:
        fields = _fields(settlement.claim, outcome, verdict, traceback=traceback)
        ending = _ending(settlement.claim, outcome, verdict, worker=worker, traceback=traceback)
    # What a damaged hash or a job's own value brings about must not keep the run from its end.
    except BaseException:
        logger.exception("%s ends without what RQ shows of it", settlement.claim.name)
        fields, ending = {}, ForeignEnding(DEFAULT_RESULT_TTL)
    return replace(settlement, fields=settlement.fields | fields, foreign=ending)


# Before.


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
        is_async=is_async,
        call=_caller(call, timeout, is_async=is_async),
        stop_asked=lambda: stopping.is_ending() or orders.of(claim.token) is not None,
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


# After.


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


# In RQ's words.


def _fields(claim: Claim, outcome: Outcome, verdict: Verdict, *, traceback: str) -> dict[str, str | int | bytes]:
    """What RQ's readers find in the hash beside the status."""
    # Plain RQ may save the same id anew meanwhile: it is this run all the same.
    fields: dict[str, str | int | bytes] = {} if isinstance(verdict, _ENDS) else {"foreign": foreign.row_id(claim)}
    if isinstance(verdict, Retry) and isinstance(outcome, _ERRORS):
        if isinstance(outcome.error, AskedToRetry):
            fields["number_of_retries"] = claim.number("number_of_retries") + 1
        else:
            fields["retries_left"] = max(0, claim.number("retries_left") - 1)
    if isinstance(verdict, Done) and claim.number("repeats_left"):
        fields["repeats_left"] = claim.number("repeats_left") - 1
        # As RQ counts: the last wait holds for all that follow.
        if rest := foreign.intervals(claim, "repeat_intervals")[1:]:
            fields["repeat_intervals"] = json.dumps(rest)
    if isinstance(verdict, Bury):
        fields["exc_info"] = _packed(traceback)
    return fields


def _ending(claim: Claim, outcome: Outcome, verdict: Verdict, *, worker: str, traceback: str) -> ForeignEnding:
    if isinstance(verdict, Bury):
        failure = _result(claim, _FAILED, worker, exc_string=b64encode(_packed(traceback)).decode())
        return ForeignEnding(_seconds(claim, "failure_ttl", DEFAULT_FAILURE_TTL), failure)
    keep = _seconds(claim, "result_ttl", DEFAULT_RESULT_TTL)
    if isinstance(verdict, Done):
        value = outcome.result if isinstance(outcome, Returned) else None
        success = _result(claim, _SUCCESSFUL, worker, return_value=_dumped(claim, value)) if keep else {}
        return ForeignEnding(keep, success, repeats_in_ms=_repeats_in_ms(claim))
    if isinstance(verdict, Cancel):
        stopped = _result(claim, _STOPPED, worker)
        return ForeignEnding(_seconds(claim, "failure_ttl", DEFAULT_FAILURE_TTL), stopped, status="stopped")
    asked = getattr(outcome, "error", None)
    at_front = claim.number("enqueue_at_front_on_retry") > 0 or (isinstance(asked, AskedToRetry) and asked.at_front)
    return ForeignEnding(keep, at_front=isinstance(verdict, Retry) and at_front)


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(errors="replace"))


def _result(claim: Claim, kind: Result.Type, worker: str, **facts: str | None) -> Mapping[str, str | int | float]:
    return {
        "type": kind.value,
        "worker_name": worker,
        "execution_id": claim.token,
        "execution_started_at": claim.claimed_ms / 1000,
        "execution_ended_at": datetime.now(UTC).timestamp(),
        **{name: value for name, value in facts.items() if value is not None},
    }


def _dumped(claim: Claim, value: Any) -> str | None:
    if value is None:
        return None
    serializer = foreign.serializer_of(claim)
    try:
        return b64encode(serializer.dumps(value)).decode()
    # What a result's own code raises must not keep the run from its end; RQ does the same.
    except BaseException:
        return b64encode(serializer.dumps(UNSERIALIZABLE_RETURN_VALUE_PAYLOAD)).decode()


def _repeats_in_ms(claim: Claim) -> int | None:
    if not claim.number("repeats_left"):
        return None
    intervals = foreign.intervals(claim, "repeat_intervals")
    return int(intervals[0] * 1000) if intervals else 0


def _seconds(claim: Claim, field: str, default: int) -> int:
    try:
        return int(claim.fields[field])
    except (KeyError, ValueError):
        return default
