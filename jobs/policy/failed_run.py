"""What a callback is told."""

from __future__ import annotations

from typing import Any, TypedDict


class FailedRun(TypedDict):
    """What a job that is named as `on_death` or `on_failure` gets as its one argument.

    `arguments` are by name and masked, and empty where they are too large to be passed on. `outcome` is how the
    attempt ended, `verdict` what followed ("retry" or "bury"), `reason` why the run died and empty where it did not.
    `at` is an ISO time.
    """

    run_id: str
    job: str
    queue: str
    arguments: dict[str, Any]
    attempt: int
    attempts: int
    outcome: str
    verdict: str
    reason: str
    error_class: str
    error_message: str
    at: str


class TrackedFailure(FailedRun):
    """What an error tracker is told: the facts of a callback, and what else the rows have of the attempt.

    All of it is masked. `event_id` is the same for one attempt however often it is told. `log` are the last lines that
    were logged: [milliseconds, level, logger, text] each.
    """

    event_id: str
    worker: str
    release: str
    correlation: str
    trace: str
    fingerprint: str
    traceback: str
    log: list[Any]
