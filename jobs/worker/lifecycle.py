"""The life of an attempt: attempt, judge, settle. Every ending goes through `conclude`, also those that another
process sees."""

from __future__ import annotations

import contextlib
import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs import circuits, conf, context, failpoints, registry
from jobs.broker.claim import Claim
from jobs.broker.keys import suspects
from jobs.broker.settle import Settlement, Unrecorded, Where
from jobs.context import CurrentRun
from jobs.errors import BadArguments, HandBackJob, JobTimedOut, PutOffJob, UnknownJob
from jobs.policy import arguments as job_arguments
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS
from jobs.policy.outcome import (
    Abandoned,
    Crashed,
    Fused,
    Interrupted,
    NotAccepted,
    NotKnown,
    Outcome,
    Postponed,
    Raised,
    Returned,
    Stopped,
    TimedOut,
)
from jobs.policy.retry import (
    UNCOUNTED,
    WAITING,
    Bury,
    Cancel,
    Discard,
    Done,
    HandBack,
    Isolate,
    PutOff,
    Retry,
    RetryPolicy,
    Standing,
    Verdict,
    bare,
    judge,
)
from jobs.registry import Job
from jobs.signals import job_started
from jobs.worker import (
    bounding,
    desk,
    entries,
    failures,
    foreign,
    foreign_rows,
    foreign_words,
    iteration,
    lines,
    news,
    orders,
    outage,
    reporting,
    spans,
    stopping,
)
from jobs.worker.desk import Desk, Drawers
from jobs.worker.event_loop import run_async
from jobs.worker.middleware import chain
from jobs.worker.tokens import number_of

logger = logging.getLogger(__name__)

# A job that hands itself back to a worker which goes on would start again at once, and again.
_HAND_BACK_WAIT_SECONDS = 1.0
# What leaves no trace of a run that has no row.
_UNRECORDED = Done | Discard | UNCOUNTED


def attempt(claim: Claim, *, worker: str) -> Settlement:
    """Run a claimed job once. Never raises: every ending is a settlement."""
    if failpoints.armed:
        failpoints.reach("after_fetch")
    started = time.monotonic()
    outcome = outcome_of(claim, worker=worker)
    if failpoints.armed:
        failpoints.reach("after_perform")
    return conclude(claim, outcome, worker=worker, run_ms=round((time.monotonic() - started) * 1000))


def outcome_of(claim: Claim, *, worker: str, drawers: Drawers = desk.STORED) -> Outcome:
    """Run a claimed job once, through all middleware, and say how it ended. Never raises.

    `drawers` says where what it writes while it runs is kept.
    """
    return spans.around(claim, lambda: _outcome_of(claim, worker=worker, drawers=drawers))


def _outcome_of(claim: Claim, *, worker: str, drawers: Drawers) -> Outcome:
    if stop := orders.of(claim.token):
        return Stopped(stop.actor, stop.reason)
    if claim.fuse:
        return Fused(claim.fuse)
    if claim.is_foreign:
        return foreign.outcome_of(claim, worker=worker, unknown_for=_unknown_for(claim), perform=_perform)
    if over := bounding.expired(claim):
        return over
    try:
        run = _current_run(claim, worker=worker, drawers=drawers)
    except UnknownJob as error:
        return NotKnown(error, _unknown_for(claim))
    except (BadArguments, ValueError) as error:
        return NotAccepted(error)
    # What else is wrong, a setting for one, is the deployment's: the run is retried.
    except BaseException as error:
        return Raised(error)
    return _perform(run)


def _perform(run: CurrentRun) -> Outcome:
    if failpoints.armed:
        failpoints.reach("before_start")
    if away := outage.expected(run.name):
        return away
    try:
        with context.running(run):
            _tell_started(run)
            return Returned(chain()(run) if run.circuit is None else _through_circuit(run, run.circuit))
    except JobTimedOut as error:
        return TimedOut(JobTimedOut(f"it ran longer than {run.timeout:g} s").with_traceback(error.__traceback__))
    except iteration.SliceOver as over:
        return Interrupted(0.0 if stopping.is_ending() else over.seconds, slice_over=True)
    except HandBackJob:
        return Interrupted(0.0 if stopping.is_ending() else _HAND_BACK_WAIT_SECONDS)
    except PutOffJob as error:
        return Postponed(error, error.seconds)
    # A job that calls sys.exit() ends itself, not the worker.
    except BaseException as error:
        return outage.outcome_of(error, run.name) or Raised(error)


def _tell_started(run: CurrentRun) -> None:
    # Asked first: most projects listen to nothing, and every attempt comes through here.
    if job_started.has_listeners(run.name):
        facts = {"run_id": run.id, "attempt": run.attempt, "queue": run.queue, "worker": run.worker}
        job_started.send_robust(run.name, **facts)


def _through_circuit(run: CurrentRun, name: str) -> Any:
    job = registry.find(run.name)
    policy = job.options.retry if job is not None else RetryPolicy()
    with circuits.through(circuits.circuit(name), expected=policy.expects):
        return chain()(run)


def conclude(claim: Claim, outcome: Outcome, *, worker: str, run_ms: int) -> Settlement:
    """What becomes of a claim whose attempt ended so. Never raises, whatever the job's error or result does."""
    job = None if claim.is_foreign else registry.find(claim.name)
    stop = orders.of(claim.token)
    if stop is not None and not isinstance(outcome, Returned):
        outcome = Stopped(stop.actor, stop.reason)
    try:
        policy = foreign_words.policy_of(claim, outcome) if claim.is_foreign else policy_of(claim, job)
        return _concluded(claim, job, outcome, policy, worker=worker, run_ms=run_ms)
    # A run that is not settled is held for ever: nothing of the job's own may keep it from its end.
    except BaseException as failure:
        log_failure(claim, failure, "the policy of %s failed, and the default policy decides")
        return _concluded(claim, job, outcome, RetryPolicy(), worker=worker, run_ms=run_ms)
    finally:
        if claim.is_foreign:
            foreign_rows.forget(claim)


def _concluded(
    claim: Claim, job: Job[Any, Any] | None, outcome: Outcome, policy: RetryPolicy, *, worker: str, run_ms: int
) -> Settlement:
    crashes = claim.number("crashes")
    standing = bounding.standing(claim, job, outcome, policy, run_ms=run_ms)
    verdict = _judge(claim, outcome, policy, crashes=crashes, standing=standing)
    crashes += isinstance(outcome, Crashed) and outcome.alone
    recorded = claim.durable or not isinstance(verdict, _UNRECORDED)
    facts: dict[str, Any] = {"policy": policy, "worker": worker, "run_ms": run_ms, "crashes": crashes}
    is_news = news.is_news(claim, outcome)
    entry = _entry(claim, job, outcome, verdict, facts) if recorded and is_news else None
    told: dict[str, Any] = {"policy": policy, "worker": worker, "run_ms": run_ms, "entry": entry}
    lines.ended(claim, outcome, verdict, is_news=is_news, **told)
    settlement = Settlement(
        claim,
        _where(verdict, recorded=recorded),
        wait_seconds=verdict.seconds if isinstance(verdict, WAITING) else 0.0,
        entry=entry,
        # What is done is not claimed again: nobody would read them.
        fields={}
        if isinstance(verdict, Done)
        else _fields(claim, outcome, verdict, crashes=crashes, recorded=recorded)
        | reporting.kept(claim, verdict)
        | news.remembered(claim, outcome, told=is_news)
        | bounding.noted(claim, policy, verdict),
        # Who may have killed a process runs where nobody else can be hit, until it ends or is buried.
        queue=suspects(claim.queue) if isinstance(outcome, Crashed) else None,
        unrecorded=None if recorded or isinstance(verdict, UNCOUNTED) else _unrecorded(outcome, verdict, run_ms),
    )
    return foreign_words.completed(settlement, outcome, verdict, worker=worker) if claim.is_foreign else settlement


def _unrecorded(outcome: Outcome, verdict: Verdict, run_ms: int) -> Unrecorded:
    error = getattr(outcome, "error", None)
    raised = "" if error is None else f"{type(error).__module__}.{type(error).__qualname__}"
    return Unrecorded(verdict.name, outcome.name, raised, run_ms)


def returned_unbegun(claims: Iterable[Claim]) -> list[Settlement]:
    """What becomes of claims that nothing was begun of: as if they had not been made, and in their order."""
    # Each is put before what is there, so the first comes last.
    latest_first = sorted(claims, key=lambda claim: number_of(claim.token), reverse=True)
    return [Settlement(claim, "unbegun", fields={"attempts": max(0, claim.attempt - 1)}) for claim in latest_first]


def policy_of(claim: Claim, job: Job[Any, Any] | None) -> RetryPolicy:
    """The job's retry policy, with the number of attempts that this run was given."""
    policy = job.options.retry if job is not None else RetryPolicy()
    own = claim.number("own_attempts")
    return policy.with_attempts(own) if own > 0 else policy


def _judge(claim: Claim, outcome: Outcome, policy: RetryPolicy, *, crashes: int, standing: Standing) -> Verdict:
    facts: dict[str, Any] = {"attempt": claim.attempt, "crashes": crashes, "standing": standing}
    roll = random.random()  # noqa: S311
    try:
        return judge(outcome, policy, roll=roll, **facts)
    # A back-off and an error's attributes are the job's own: what they raise must not keep the run from its end.
    except BaseException as failure:
        log_failure(claim, failure, "the back-off of %s failed, and the default one is used")
        return judge(*bare(outcome, policy), roll=roll, **facts)


def _entry(
    claim: Claim, job: Job[Any, Any] | None, outcome: Outcome, verdict: Verdict, facts: dict[str, Any]
) -> dict[str, Any]:
    try:
        return entries.settled(claim, job, outcome, verdict, **facts)
    # So are the error and the result that it reads.
    except BaseException as failure:
        log_failure(claim, failure, "how %s ended cannot be told in full")
        return entries.settled_plainly(claim, outcome, verdict, failure, **facts)


def _current_run(claim: Claim, *, worker: str, drawers: Drawers) -> CurrentRun:
    job = registry.find(claim.name) if claim.name else None
    args, kwargs = claim.payload
    if job is None:
        raise UnknownJob(f'No job is named "{claim.name}" here. Deploy the code that defines it, then retry.')
    fitting = job.fit(args, kwargs)
    # A default that cannot be is left to the system checks; the run has a limit all the same.
    timeout = min(LONGEST_TIMEOUT_SECONDS, job.options.timeout or conf.get().DEFAULT_TIMEOUT)
    parent = claim.fields.get("parent")
    its_desk = Desk(claim, drawers)
    return CurrentRun(
        id=uuid.UUID(claim.run_id) if claim.is_ours else claim.run_id,
        name=job.name,
        queue=claim.queue,
        attempt=claim.attempt,
        attempts=policy_of(claim, job).attempts,
        timeout=timeout,
        deadline=datetime.now(UTC) + timedelta(seconds=timeout),
        worker=worker,
        is_async=job.is_async,
        call=_caller(job, fitting.args, fitting.kwargs, timeout, its_desk),
        correlation=claim.fields.get("correlation") or claim.run_id,
        trace=spans.trace_of(claim),
        wait_ms=claim.wait_ms,
        robbed=bool(claim.number("robbed")),
        circuit=job.options.circuit,
        parent=uuid.UUID(parent) if parent else None,
        stop_asked=lambda: stopping.is_ending() or orders.of(claim.token) is not None,
        desk=its_desk,
    )


def _caller(
    job: Job[Any, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    timeout: float,
    its_desk: Desk,
) -> Callable[[], Any]:
    if job.options.iterates is not None:
        bound = job_arguments.bind(job.signature, job.name, args, kwargs)
        return lambda: iteration.iterate(job, bound, its_desk.keeper)
    if not job.is_async:
        return lambda: job.function(*args, **kwargs)
    return lambda: run_async(lambda: job.function(*args, **kwargs), timeout=timeout)


def _unknown_for(claim: Claim) -> float:
    since = claim.number("unknown_since_ms")
    return (claim.claimed_ms - since) / 1000 if since else 0.0


def _where(verdict: Verdict, *, recorded: bool) -> Where:
    match verdict:
        case Retry() | PutOff():
            return "later"
        case HandBack() | Isolate():
            return "front"
        case Bury():
            return "failed"
        case Done() | Discard() | Cancel():
            return "end" if recorded else "gone"


def _fields(
    claim: Claim, outcome: Outcome, verdict: Verdict, *, crashes: int, recorded: bool
) -> dict[str, str | int | bytes]:
    fields: dict[str, str | int | bytes] = {}
    if isinstance(verdict, UNCOUNTED):
        fields["attempts"] = claim.attempt - 1
    if isinstance(outcome, NotKnown) and not claim.fields.get("unknown_since_ms"):
        fields["unknown_since_ms"] = claim.claimed_ms
    if isinstance(outcome, Abandoned):
        fields["robbed"] = 1
    if crashes != claim.number("crashes"):
        fields["crashes"] = crashes
    if recorded and not claim.durable:
        # From its first failure on the run has a row, which wants to hear of its end.
        fields["durable"] = 1
    return fields


def log_failure(claim: Claim, failure: BaseException, message: str) -> None:
    """Log a failure that is not the job's own: `message` has a place for the job's name."""
    # Not as `exc_info`: a handler that prints the exception may fail as we just did, or show what is secret.
    with contextlib.suppress(BaseException):
        where = failures.frames(failure)
        extra = {"job": claim.name, "run": claim.run_id, "attempt": claim.attempt}
        text = f"{message}; %s was raised at\n%s"
        logger.error(text, claim.name, type(failure).__name__, where, extra=extra)
