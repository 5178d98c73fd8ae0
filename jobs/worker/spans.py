"""The spans of attempts. What fails in tracing keeps no run from its attempt."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from jobs import registry, tracing
from jobs.broker.claim import Claim
from jobs.errors import DiscardJob, RetryLater
from jobs.policy.outcome import NotAccepted, NotKnown, Outcome, Raised, TimedOut
from jobs.worker import entries, failures

logger = logging.getLogger(__name__)

_FAILED = Raised | TimedOut | NotAccepted | NotKnown
_LINES = 100
# Of its claim: the line of its end is logged after the span.
_ATTRIBUTE = "_trace"


def around(claim: Claim, perform: Callable[[], Outcome]) -> Outcome:
    """What `perform` gives, with a span around it while tracing is on."""
    if not tracing.is_on():
        return perform()
    with contextlib.ExitStack() as stack:
        span = None
        with _tolerant():
            span = stack.enter_context(_span(claim))
            claim.__dict__[_ATTRIBUTE] = tracing.current()
        outcome = perform()
        with _tolerant():
            if span is not None and span.is_recording():
                tracing.ended(span, outcome=outcome.name, error=_error(claim, outcome))
        with _tolerant():
            stack.close()
        return outcome


def trace_of(claim: Claim) -> str:
    """The id of the trace that the attempt belongs to; empty for none."""
    if traceparent := claim.__dict__.get(_ATTRIBUTE) or claim.fields.get("traceparent"):
        return tracing.trace_of(traceparent)
    return ""


def _span(claim: Claim) -> contextlib.AbstractContextManager[Any]:
    return tracing.attempting(
        claim.name,
        claim.queue,
        claim.run_id,
        attempt=claim.attempt,
        correlation=claim.fields.get("correlation") or claim.run_id,
        traceparent=claim.fields.get("traceparent", ""),
    )


def _error(claim: Claim, outcome: Outcome) -> dict[str, str]:
    """The error of an attempt that failed, masked; nothing of what a job raises on purpose."""
    if not isinstance(outcome, _FAILED) or issubclass(type(outcome.error), DiscardJob | RetryLater):
        return {}
    job = None if claim.is_foreign else registry.find(claim.name)
    return failures.facts(outcome.error, secrets=entries.secrets_of(claim, job), lines=_LINES)


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Not as `exc_info`: what it says may be the job's error.
        logger.warning("an attempt could not be traced: %s", type(error).__name__)
