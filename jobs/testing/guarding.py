"""What keeps a test from running for ever, and a test runner's own exceptions from being taken for a job's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobs.errors import JobsError, JobTimedOut
from jobs.policy.outcome import Outcome, Raised
from jobs.testing.attempts import Attempt

MAX_RUNS = 1000
_SHOWN = 3
# Beside `Exception`, these are a job's own way to end.
_OF_JOBS = (Exception, JobTimedOut, SystemExit, GeneratorExit, asyncio.CancelledError)


class TooManyRuns(JobsError):
    """More attempts were made than `max_runs` allows, and there is more to run."""


def check_room(attempts: Sequence[Attempt], *, max_runs: int) -> None:
    """Raises `TooManyRuns` when there is no room for another attempt."""
    if len(attempts) < max_runs:
        return
    latest = ", ".join(attempt.call for attempt in attempts[-_SHOWN:])
    raise TooManyRuns(
        f"{len(attempts)} runs were made and there are more; the latest were {latest}. "
        "Look for a job that enqueues itself, or pass a higher max_runs."
    )


def raise_if_not_of_jobs(outcome: Outcome) -> None:
    """Raise what was meant for the test runner, which a worker never sees: Ctrl-C, `pytest.fail`, a test's timeout."""
    if isinstance(outcome, Raised) and not isinstance(outcome.error, _OF_JOBS):
        raise outcome.error
