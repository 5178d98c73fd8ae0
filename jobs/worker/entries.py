"""What the journal hears of attempts. The recorder is who reads it; see `jobs.recorder`."""

from __future__ import annotations

import json
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from jobs import conf, drafts
from jobs.broker import foreign
from jobs.broker.claim import Claim
from jobs.errors import BadArguments, DiscardJob, RetryLater
from jobs.policy import arguments as job_arguments
from jobs.policy import ids, redaction
from jobs.policy.fingerprint import Failure
from jobs.policy.outcome import Fused, Interrupted, Outcome, Postponed, Returned, Stopped
from jobs.policy.retry import WAITING, Bury, Discard, Retry, RetryPolicy, Verdict, counts
from jobs.registry import Job
from jobs.worker import bounding, failures, foreign_rows, kept_lines, reporting

logger = logging.getLogger(__name__)


def started(claim: Claim, *, worker: str) -> dict[str, Any]:
    """What the journal hears of an attempt that is still running."""
    entry = _facts(claim, worker=worker) | {"entry": "started", "attempts": claim.attempt}
    return entry | {"row": foreign_rows.row_facts(claim)} if claim.is_foreign else entry


def settled(
    claim: Claim,
    job: Job[Any, Any] | None,
    outcome: Outcome,
    verdict: Verdict,
    *,
    policy: RetryPolicy,
    worker: str,
    run_ms: int,
    crashes: int,
) -> dict[str, Any]:
    """An attempt that has ended: how, and what follows. A run that has no row yet brings all that makes one."""
    entry = _ending(claim, outcome, verdict, worker=worker, run_ms=run_ms, crashes=crashes)
    if isinstance(outcome, Returned):
        entry["result"] = _result(claim, outcome.result)
    error = getattr(outcome, "error", None)
    if error is not None:
        entry |= failures.facts(error, secrets=secrets_of(claim, job), lines=_traceback_lines(job))
    if kept_lines.are_told(claim, outcome):
        entry["log"] = kept_lines.told(claim, secrets=secrets_of(claim, job))
    if isinstance(outcome, Postponed):
        # Where it was raised is of no interest: nothing went wrong.
        entry |= {"reason": entry["error_message"], "traceback": ""}
    if claim.is_foreign:
        entry["row"] = foreign_rows.row_facts(claim)
    elif not claim.durable:
        entry["row"] = _row_facts(claim, policy, arguments=drafts.masked(job, _named_arguments(claim, job)))
    if _is_failure(outcome, verdict, error):
        entry["cause"] = _cause(claim, outcome, entry, () if error is None else failures.project_frames(error))
    return entry


def settled_plainly(
    claim: Claim,
    outcome: Outcome,
    verdict: Verdict,
    why: BaseException,
    *,
    policy: RetryPolicy,
    worker: str,
    run_ms: int,
    crashes: int,
) -> dict[str, Any]:
    """The same for an attempt of which `settled` raised `why`: reads neither error nor result nor arguments."""
    entry = _ending(claim, outcome, verdict, worker=worker, run_ms=run_ms, crashes=crashes)
    if not isinstance(outcome, Returned | Stopped | Fused):
        message = f"(the error cannot be told: reading it raised {type(why).__name__})"
        entry |= {"error_class": "(unreadable)", "error_message": message, "traceback": ""}
    if claim.is_foreign:
        entry["row"] = foreign_rows.row_facts(claim)
    elif not claim.durable:
        entry["row"] = _row_facts(claim, policy, arguments={})
    if _is_failure(outcome, verdict):
        entry["cause"] = _cause(claim, outcome, entry, ())
    return entry


def _ending(
    claim: Claim, outcome: Outcome, verdict: Verdict, *, worker: str, run_ms: int, crashes: int
) -> dict[str, Any]:
    entry = {"entry": "settled", **_facts(claim, worker=worker)}
    entry["outcome"] = outcome.name
    entry["verdict"] = verdict.name
    entry["attempts"] = claim.attempt - (not counts(outcome, verdict))
    entry["run_ms"] = run_ms
    entry["crashes"] = crashes
    if text := reporting.said(claim):
        entry["progress"] = text
    if isinstance(outcome, Stopped):
        entry["reason"] = f"stopped by {outcome.actor}: {outcome.reason}".removesuffix(": ")
    if isinstance(outcome, Interrupted) and outcome.slice_over:
        entry["slice_over"] = True
    if isinstance(outcome, Fused):
        entry["reason"] = f"discarded by fuse {outcome.fuse}"
    if isinstance(verdict, Bury):
        entry["reason"] = verdict.reason
    elif isinstance(verdict, WAITING):
        entry["wait_s"] = verdict.seconds
    return entry


def _is_failure(outcome: Outcome, verdict: Verdict, error: BaseException | None = None) -> bool:
    """Whether something went wrong that has a cause: neither what does not count nor what a job raises on purpose."""
    if isinstance(verdict, Bury):
        return True
    if isinstance(outcome, Fused):
        return False
    # By its type: what an error says of its class itself may raise.
    return isinstance(verdict, Retry | Discard) and not issubclass(type(error), DiscardJob | RetryLater)


def _cause(claim: Claim, outcome: Outcome, entry: dict[str, Any], frames: tuple[str, ...]) -> dict[str, Any]:
    """What tells this failure from others. Where nothing was raised, its outcome stands for the error."""
    name = entry["row"]["name"] if claim.is_foreign else claim.name[:200]
    error_class = entry.get("error_class", outcome.name)[:200]
    failure = Failure(name, error_class, entry.get("error_message", ""), frames)
    return {"fingerprint": failure.fingerprint, "frames": list(frames), "message": failure.normal_message}


def _facts(claim: Claim, *, worker: str) -> dict[str, Any]:
    return {
        # RQ's ids may come again; a row's do not.
        "run": foreign.row_id(claim) if claim.is_foreign else claim.run_id,
        "life": claim.life,
        "token": claim.token,
        "attempt": claim.attempt,
        "started_ms": claim.claimed_ms,
        "wait_ms": claim.wait_ms,
        "pushed_ms": _pushed_ms(claim),
        "worker": worker,
        "release": conf.release(),
    }


def _result(claim: Claim, result: object) -> Any:
    if result is None:
        return None
    text = job_arguments.dump_result(result, limit=conf.get().MAX_RESULT_BYTES)
    # What plain RQ's jobs return may be anything; RQ keeps it.
    if text is None and not claim.is_foreign:
        logger.warning(
            "%s returned what is not plain JSON or too large to keep; it counts as done",
            claim.name,
            extra={"job": claim.name, "run": claim.run_id},
        )
    return None if text is None else json.loads(text)


def secrets_of(claim: Claim, job: Job[Any, Any] | None) -> set[str]:
    """The values of its arguments that are masked wherever they stand."""
    if claim.is_foreign:
        return foreign_rows.secrets(claim)
    return redaction.secret_values(_named_arguments(claim, job), sensitive=drafts.sensitive_names(job))


def _traceback_lines(job: Job[Any, Any] | None) -> int:
    own = job.options.traceback_lines if job is not None else None
    return conf.get().TRACEBACK_LINES if own is None else own


def _named_arguments(claim: Claim, job: Job[Any, Any] | None) -> dict[str, Any]:
    try:
        args, kwargs = claim.payload
        if job is None:
            return {"args": args, "kwargs": kwargs}
        return dict(job_arguments.bind(job.signature, job.name, args, kwargs).arguments)
    except (BadArguments, ValueError):
        return {}


def _row_facts(claim: Claim, policy: RetryPolicy, *, arguments: Any) -> dict[str, Any]:
    """What the recorder needs to make the row of a run that has none."""
    created_at = foreign.date(claim, "created_at") or datetime.now(UTC)
    fresh = ids.time_sorted(time.time_ns(), uuid.uuid4().bytes)
    return {
        "id": claim.run_id if claim.is_ours else str(fresh),
        "name": claim.name[:200] or "(unreadable)",
        "queue": claim.queue,
        "payload": _payload(claim),
        "arguments": arguments,
        "options": _options(claim),
        "max_attempts": policy.attempts,
        "created_at": created_at.isoformat(),
        "parent": claim.fields.get("parent", ""),
        "correlation": claim.fields.get("correlation", ""),
    }


def _options(claim: Claim) -> dict[str, Any]:
    """What its row keeps of what was chosen for this run alone."""
    own_attempts = claim.number("own_attempts")
    options: dict[str, Any] = {"attempts": own_attempts} if own_attempts > 0 else {}
    expires_at = bounding.expires_at(claim)
    options |= {"expires_at": expires_at.isoformat()} if expires_at else {}
    traceparent = claim.fields.get("traceparent", "")
    return options | ({"traceparent": traceparent} if traceparent else {})


def _payload(claim: Claim) -> list[Any]:
    try:
        return list(claim.payload)
    except ValueError:
        return [[], {}]


def _pushed_ms(claim: Claim) -> int:
    pushed_at = foreign.date(claim, "enqueued_at")
    return int(pushed_at.timestamp() * 1000) if pushed_at else claim.claimed_ms
