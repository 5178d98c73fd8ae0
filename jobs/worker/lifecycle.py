"""The life of an attempt: attempt, judge, settle. Every ending goes through `conclude`, also those that another
process sees."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rq.utils import str_to_date

from jobs import conf, context, enqueueing, registry
from jobs.broker.claim import Claim
from jobs.broker.keys import suspects
from jobs.broker.settle import Settlement, Where
from jobs.context import CurrentRun
from jobs.errors import BadArguments, JobTimedOut, UnknownJob
from jobs.policy import arguments as job_arguments
from jobs.policy import ids, redaction
from jobs.policy.outcome import Crashed, NotAccepted, NotKnown, Outcome, Raised, Returned, TimedOut
from jobs.policy.retry import (
    Bury,
    Discard,
    Done,
    HandBack,
    Isolate,
    PutOff,
    Retry,
    RetryPolicy,
    Verdict,
    judge,
)
from jobs.registry import Job
from jobs.worker.middleware import chain

logger = logging.getLogger(__name__)

# Enough for the deepest useful traceback; a recursion error's has its middle cut out.
_TRACEBACK_CHARACTERS = 20_000
_MESSAGE_CHARACTERS = 2_000
# An attempt that ends so is as if it had not been.
_UNCOUNTED = HandBack | PutOff | Isolate
# What stands between a worker's thread and the job's function, also that of an async job.
_OUR_MODULES = ("jobs.worker", "asyncio")


def attempt(claim: Claim, *, worker: str) -> Settlement:
    """Run a claimed job once. Never raises: every ending is a settlement."""
    started = time.monotonic()
    outcome = outcome_of(claim, worker=worker)
    return conclude(claim, outcome, worker=worker, run_ms=round((time.monotonic() - started) * 1000))


def outcome_of(claim: Claim, *, worker: str) -> Outcome:
    """Run a claimed job once, through all middleware, and say how it ended. Never raises."""
    try:
        run = _current_run(claim, worker=worker)
    except UnknownJob as error:
        return NotKnown(error, _unknown_for(claim))
    except (BadArguments, ValueError) as error:
        return NotAccepted(error)
    try:
        with context.running(run):
            return Returned(chain()(run))
    except JobTimedOut as error:
        return TimedOut(JobTimedOut(f"it ran longer than {run.timeout:g} s").with_traceback(error.__traceback__))
    # A job that calls sys.exit() ends itself, not the worker.
    except BaseException as error:
        return Raised(error)


def conclude(claim: Claim, outcome: Outcome, *, worker: str, run_ms: int) -> Settlement:
    """What becomes of a claim whose attempt ended so."""
    job = registry.find(claim.name)
    crashes = claim.number("crashes")
    verdict = _judge(claim, job, outcome, crashes=crashes)
    crashes += isinstance(outcome, Crashed) and outcome.alone
    recorded = claim.durable or not isinstance(verdict, Done | Discard | _UNCOUNTED)
    entry = _entry(claim, job, outcome, verdict, worker=worker, run_ms=run_ms, crashes=crashes) if recorded else None
    _log(claim, outcome, verdict, shown=(entry or {}).get("error_message", outcome.name))
    return Settlement(
        claim,
        _where(verdict, recorded=recorded),
        wait_seconds=verdict.seconds if isinstance(verdict, Retry | PutOff) else 0.0,
        entry=entry,
        fields=_fields(claim, outcome, verdict, crashes=crashes, recorded=recorded),
        # Who may have killed a process runs where nobody else can be hit, until it ends or is buried.
        queue=suspects(claim.queue) if isinstance(outcome, Crashed) else None,
    )


def started_entry(claim: Claim, *, worker: str) -> dict[str, Any]:
    """What the journal hears of an attempt that is still running."""
    return _facts(claim, worker=worker) | {"entry": "started", "attempts": claim.attempt}


def policy_of(claim: Claim, job: Job[Any, Any] | None) -> RetryPolicy:
    """The job's retry policy, with the number of attempts that this run was given."""
    policy = job.options.retry if job is not None else RetryPolicy()
    own = claim.number("own_attempts")
    return policy.with_attempts(own) if own > 0 else policy


def _judge(claim: Claim, job: Job[Any, Any] | None, outcome: Outcome, *, crashes: int) -> Verdict:
    policy = policy_of(claim, job)
    roll = random.random()  # noqa: S311
    try:
        return judge(outcome, policy, attempt=claim.attempt, crashes=crashes, roll=roll)
    # A back-off is the job's own function: what it raises must not keep the run from its end.
    except Exception:
        facts = {"job": claim.name, "run": claim.run_id}
        logger.exception("the back-off of %s failed; the default one is used", claim.name, extra=facts)
        plain = RetryPolicy(attempts=policy.attempts)
        return judge(outcome, plain, attempt=claim.attempt, crashes=crashes, roll=roll)


def _current_run(claim: Claim, *, worker: str) -> CurrentRun:
    job = registry.get(claim.name) if claim.name else None
    args, kwargs = claim.payload
    if job is None or job.name != claim.name:
        raise UnknownJob(f'No job is named "{claim.name}" here. Deploy the code that defines it, then retry.')
    bound = job_arguments.bind(job.signature, job.name, args, kwargs)
    timeout = job.options.timeout or conf.get().DEFAULT_TIMEOUT
    parent = claim.fields.get("parent")
    return CurrentRun(
        id=uuid.UUID(claim.run_id) if _is_ours(claim) else claim.run_id,
        name=job.name,
        queue=claim.queue,
        attempt=claim.attempt,
        attempts=policy_of(claim, job).attempts,
        timeout=timeout,
        deadline=datetime.now(UTC) + timedelta(seconds=timeout),
        worker=worker,
        call=_caller(job, bound.args, bound.kwargs, timeout),
        correlation=claim.fields.get("correlation", ""),
        parent=uuid.UUID(parent) if parent else None,
    )


def _caller(job: Job[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float) -> Callable[[], Any]:
    if not job.is_async:
        return lambda: job.function(*args, **kwargs)
    return lambda: asyncio.run(_within(job.function(*args, **kwargs), timeout))


async def _within(awaitable: Any, timeout: float) -> Any:
    # A loop that waits for the network wakes for its own timer, not for an exception in its thread.
    try:
        async with asyncio.timeout(timeout) as scope:
            return await awaitable
    except TimeoutError as error:
        if scope.expired():
            raise JobTimedOut from error
        raise


def _is_ours(claim: Claim) -> bool:
    return "life" in claim.fields


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
        case Done() | Discard():
            return "end" if recorded else "gone"


def _fields(claim: Claim, outcome: Outcome, verdict: Verdict, *, crashes: int, recorded: bool) -> dict[str, str | int]:
    fields: dict[str, str | int] = {}
    if isinstance(verdict, _UNCOUNTED):
        fields["attempts"] = claim.attempt - 1
    if isinstance(outcome, NotKnown) and not claim.fields.get("unknown_since_ms"):
        fields["unknown_since_ms"] = claim.claimed_ms
    if crashes:
        fields["crashes"] = crashes
    if recorded and not claim.durable:
        # From its first failure on the run has a row, which wants to hear of its end.
        fields["durable"] = 1
    return fields


def _facts(claim: Claim, *, worker: str) -> dict[str, Any]:
    return {
        "run": claim.run_id,
        "life": claim.life,
        "token": claim.token,
        "attempt": claim.attempt,
        "started_ms": claim.claimed_ms,
        "wait_ms": claim.wait_ms,
        "pushed_ms": _pushed_ms(claim),
        "worker": worker,
        "release": conf.release(),
    }


def _entry(
    claim: Claim,
    job: Job[Any, Any] | None,
    outcome: Outcome,
    verdict: Verdict,
    *,
    worker: str,
    run_ms: int,
    crashes: int,
) -> dict[str, Any]:
    entry = _facts(claim, worker=worker) | {
        "entry": "settled",
        "outcome": outcome.name,
        "verdict": verdict.name,
        "attempts": claim.attempt - isinstance(verdict, _UNCOUNTED),
        "run_ms": run_ms,
        "crashes": crashes,
    }
    if isinstance(verdict, Bury):
        entry["reason"] = verdict.reason
    if isinstance(verdict, Retry | PutOff):
        entry["wait_s"] = verdict.seconds
    if isinstance(outcome, Returned):
        entry["result"] = _result(claim, outcome.result)
    error = getattr(outcome, "error", None)
    if error is not None:
        entry |= _error_facts(claim, job, error)
    if not claim.durable:
        entry["row"] = _row_facts(claim, job)
    return entry


def _result(claim: Claim, result: object) -> Any:
    text = job_arguments.dump_result(result, limit=conf.get().MAX_RESULT_BYTES)
    if text is None and result is not None:
        logger.warning(
            "%s returned what is not plain JSON or too large to keep; it counts as done",
            claim.name,
            extra={"job": claim.name, "run": claim.run_id},
        )
    return None if text is None else json.loads(text)


def _error_facts(claim: Claim, job: Job[Any, Any] | None, error: BaseException) -> dict[str, str]:
    secrets = _secrets(claim, job)
    return {
        "error_class": _class_name(type(error)),
        "error_message": _shown(_message(error), secrets)[:_MESSAGE_CHARACTERS],
        "traceback": _cut(_shown("".join(traceback.format_exception(_without_our_frames(error))), secrets)),
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    # An exception's own __str__ may raise.
    except Exception as failure:
        return f"(its text cannot be told: str() raised {type(failure).__name__})"


def _secrets(claim: Claim, job: Job[Any, Any] | None) -> set[str]:
    return redaction.secret_values(_named_arguments(claim, job), sensitive=enqueueing.sensitive_names(job))


def _named_arguments(claim: Claim, job: Job[Any, Any] | None) -> dict[str, Any]:
    try:
        args, kwargs = claim.payload
        if job is None:
            return {"args": args, "kwargs": kwargs}
        return dict(job_arguments.bind(job.signature, job.name, args, kwargs).arguments)
    except (BadArguments, ValueError):
        return {}


def _shown(text: str, secrets: set[str]) -> str:
    # Neither NUL nor half a surrogate pair can be stored.
    clean = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return redaction.mask_text(clean, values=secrets)


def _cut(text: str) -> str:
    if len(text) <= _TRACEBACK_CHARACTERS:
        return text
    half = _TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _without_our_frames(error: BaseException) -> BaseException:
    """The error with its traceback from the job's function inwards; the frames before it are the same each time."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OUR_MODULES):
        trace = trace.tb_next
    return error.with_traceback(trace) if trace is not None else error


def _class_name(error_class: type[BaseException]) -> str:
    module = error_class.__module__
    return error_class.__qualname__ if module == "builtins" else f"{module}.{error_class.__qualname__}"


def _row_facts(claim: Claim, job: Job[Any, Any] | None) -> dict[str, Any]:
    """What the recorder needs to make the row of a run that has none."""
    created_at = _date(claim, "created_at") or datetime.now(UTC)
    own_attempts = claim.number("own_attempts")
    fresh = ids.time_sorted(time.time_ns(), uuid.uuid4().bytes)
    return {
        "id": claim.run_id if _is_ours(claim) else str(fresh),
        "name": claim.name[:200] or "(unreadable)",
        "queue": claim.queue,
        "payload": _payload(claim),
        "arguments": enqueueing.masked(job, _named_arguments(claim, job)),
        "options": {"attempts": own_attempts} if own_attempts > 0 else {},
        "max_attempts": policy_of(claim, job).attempts,
        "created_at": created_at.isoformat(),
        "parent": claim.fields.get("parent", ""),
        "correlation": claim.fields.get("correlation", ""),
    }


def _payload(claim: Claim) -> list[Any]:
    try:
        return list(claim.payload)
    except ValueError:
        return [[], {}]


def _pushed_ms(claim: Claim) -> int:
    pushed_at = _date(claim, "enqueued_at")
    return int(pushed_at.timestamp() * 1000) if pushed_at else claim.claimed_ms


def _date(claim: Claim, field: str) -> datetime | None:
    """A time from the hash, None where it is missing or damaged."""
    try:
        return str_to_date(claim.fields[field])
    except (KeyError, ValueError):
        return None


def _log(claim: Claim, outcome: Outcome, verdict: Verdict, *, shown: str) -> None:
    facts = {"job": claim.name, "run": claim.run_id, "attempt": claim.attempt, "verdict": verdict.name}
    if isinstance(verdict, Bury):
        logger.error("%s is dead (%s): %s", claim.name, verdict.reason, shown, extra=facts)
    elif isinstance(verdict, Retry | PutOff):
        logger.info("%s: %s in %.0f s after %s", claim.name, verdict.name, verdict.seconds, outcome.name, extra=facts)
