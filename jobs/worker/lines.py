"""The log lines of attempts: one when it starts, one when it has ended, with the same facts always."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from jobs import conf, logs, registry
from jobs.broker.claim import Claim
from jobs.context import CurrentRun
from jobs.policy.outcome import Outcome, Postponed, Stopped
from jobs.policy.retry import WAITING, Bury, Done, RetryPolicy, Verdict
from jobs.worker import spans

_MESSAGE_CHARACTERS = 500


def started(run: CurrentRun) -> None:
    """Say that an attempt starts. Never raises."""
    logger = _logger_of(run.name)
    if not logger.isEnabledFor(logging.INFO):
        return
    facts = logs.facts(
        event="attempt started",
        job=run.name,
        run=str(run.id),
        queue=run.queue,
        attempt=run.attempt,
        of=run.attempts,
        worker=run.worker,
        release=conf.release(),
        correlation=run.correlation,
        parent=str(run.parent or ""),
        trace=run.trace,
        wait_ms=run.wait_ms,
    )
    _tell(logger, logging.INFO, "%s attempt %s of %s starts", run.name, run.attempt, run.attempts, extra=facts)


def ended(
    claim: Claim,
    outcome: Outcome,
    verdict: Verdict,
    *,
    policy: RetryPolicy,
    worker: str,
    run_ms: int,
    entry: dict[str, Any] | None,
    is_news: bool,
) -> None:
    """Say how an attempt ended and what follows, as the journal's `entry` has it masked. Never raises.

    Only a death is an error: a failure may be retried. What is no news is for those who look closely.
    """
    with contextlib.suppress(BaseException):
        logger = _logger_of(claim.name)
        level = logging.ERROR if isinstance(verdict, Bury) else logging.INFO if is_news else logging.DEBUG
        if not logger.isEnabledFor(level):
            return
        told = entry or {}
        message = str(told.get("error_message", ""))[:_MESSAGE_CHARACTERS]
        facts = logs.facts(
            event="attempt ended",
            job=claim.name,
            run=claim.run_id,
            queue=claim.queue,
            attempt=claim.attempt,
            of=policy.attempts,
            worker=worker,
            release=conf.release(),
            correlation=claim.fields.get("correlation") or claim.run_id,
            parent=claim.fields.get("parent", ""),
            trace=spans.trace_of(claim),
            wait_ms=claim.wait_ms,
            run_ms=run_ms,
            outcome=outcome.name,
            verdict=verdict.name,
            next_s=round(verdict.seconds, 3) if isinstance(verdict, WAITING) else None,
            reason=told.get("reason", ""),
            error_class=told.get("error_class", ""),
            error_message=message,
        )
        words = _words(outcome, verdict, message)
        text = "%s attempt %s of %s took %s ms: %s"
        logger.log(level, text, claim.name, claim.attempt, policy.attempts, run_ms, words, extra=facts)


def _logger_of(name: str) -> logging.Logger:
    # A logger stays for ever, and a name in Redis may be anything.
    return logs.logger_of(name if registry.find(name) is not None else "")


def _words(outcome: Outcome, verdict: Verdict, message: str) -> str:
    if isinstance(verdict, Done):
        return verdict.name
    if isinstance(verdict, Bury):
        return f"dead ({verdict.reason}), {message or outcome.name}"
    if isinstance(outcome, Stopped):
        return f"stopped by {outcome.actor}"
    then = f"{verdict.name} in {verdict.seconds:.0f} s" if isinstance(verdict, WAITING) else verdict.name
    return f"{then}, {message if isinstance(outcome, Postponed) else outcome.name}"


def _tell(logger: logging.Logger, level: int, message: str, *words: object, extra: dict[str, Any]) -> None:
    # A filter or a handler of the project's may raise.
    with contextlib.suppress(Exception):
        logger.log(level, message, *words, extra=extra)
