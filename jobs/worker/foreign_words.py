"""RQ's words for what follows an attempt, read and written: `Retry`, `Repeat`, results and registries.

1. `policy_of` says in our words what RQ's `Retry` asks for.
2. `completed` says in RQ's words how the attempt ended, for whoever reads results and registries with RQ.
"""

from __future__ import annotations

import json
import logging
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rq.defaults import DEFAULT_FAILURE_TTL, DEFAULT_RESULT_TTL, UNSERIALIZABLE_RETURN_VALUE_PAYLOAD
from rq.job import Retry as RQRetry
from rq.results import Result

from jobs.broker import foreign
from jobs.broker.claim import Claim
from jobs.broker.foreign_ending import ForeignEnding
from jobs.broker.settle import Settlement
from jobs.policy.foreign import forgiving_crashes
from jobs.policy.outcome import Crashed, Outcome, Raised, Returned, TimedOut
from jobs.policy.retry import Bury, Cancel, Discard, Done, Retry, RetryPolicy, Verdict

logger = logging.getLogger(__name__)

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


def _fields(claim: Claim, outcome: Outcome, verdict: Verdict, *, traceback: str) -> dict[str, str | int | bytes]:
    """What RQ's readers find in the hash beside the status."""
    # Plain RQ may save the same id anew meanwhile: it is this run all the same.
    fields: dict[str, str | int | bytes] = {} if isinstance(verdict, _ENDS) else {"foreign": foreign.row_id(claim)}
    if isinstance(verdict, Retry) and isinstance(outcome, Raised | TimedOut):
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
