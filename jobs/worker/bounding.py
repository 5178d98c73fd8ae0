"""What a run is bound by beside the number of its attempts: looked at before it starts and when it ends, and kept in
its hash. A run without such bounds has no such field, and nothing is read or written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jobs.broker.claim import Claim
from jobs.errors import JobExpired
from jobs.policy import bounds
from jobs.policy.bounds import Bounds
from jobs.policy.outcome import Expired, Outcome, Returned
from jobs.policy.retry import FRESH, UNCOUNTED, Bury, Retry, RetryPolicy, Standing, Verdict
from jobs.registry import Job

_GOES_ON = Retry | UNCOUNTED


def expired(claim: Claim) -> Expired | None:
    """How an attempt ends that must not begin any more."""
    # Who has done some of its items goes on, and does not start.
    if not claim.fields.get("bounds") or claim.fields.get("checkpoint"):
        return None
    of_run = _bounds(claim)
    if not of_run.is_over(now_ms=claim.claimed_ms):
        return None
    return Expired(JobExpired(f"it was not to start after {expires_at(claim):%Y-%m-%d %H:%M:%S} UTC"))


def expires_at(claim: Claim) -> datetime | None:
    """When the run may no longer start."""
    expires_ms = _bounds(claim).expires_ms
    return datetime.fromtimestamp(expires_ms / 1000, UTC) if expires_ms else None


def standing(
    claim: Claim, job: Job[Any, Any] | None, outcome: Outcome, policy: RetryPolicy, *, run_ms: int
) -> Standing:
    """How the run stands at the end of this attempt; nothing of it matters to one that is done."""
    if isinstance(outcome, Returned) or not (claim.fields.get("bounds") or policy.has_deadline):
        return FRESH
    return _bounds(claim).standing(
        now_ms=claim.claimed_ms + run_ms,
        first_due_ms=_first_due_ms(claim),
        expired=job.options.expired if job is not None else Bury,
    )


def noted(claim: Claim, policy: RetryPolicy, verdict: Verdict) -> dict[str, str | int | bytes]:
    """What the hash of a run that goes on is to keep for its next attempts."""
    if not isinstance(verdict, _GOES_ON):
        return {}
    before = after = _bounds(claim)
    if policy.has_deadline:
        after = after.since(_first_due_ms(claim))
    if isinstance(verdict, Retry) and verdict.rule:
        after = after.failed(verdict.rule)
    return {"bounds": after.dump()} if after != before else {}


def _bounds(claim: Claim) -> Bounds:
    text = claim.fields.get("bounds")
    return bounds.read(text) if text else bounds.NONE


def _first_due_ms(claim: Claim) -> int:
    """Of a run of which nobody noted it: this is its first attempt."""
    return claim.number("ready_ms") or claim.claimed_ms
