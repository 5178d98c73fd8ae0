"""The app's own housekeeping, written with its own API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from jobs import (
    audit,
    batches,
    bulk,
    error_tracker,
    retention,
)
from jobs.errors import PutOffJob
from jobs.policy.backoff import exponential
from jobs.policy.failed_run import FailedRun
from jobs.policy.retry import RetryPolicy
from jobs.registry import job
from jobs.worker import nightly, unrecorded


@job(retry=3, unique="args", timeout=3600)
def prune_runs(day: str) -> dict[str, int]:
    """Delete ended runs that are older than `JOBS["KEEP_DAYS"]` says, and dead ones beyond `JOBS["KEEP_DEAD"]`; effects
    that nobody can ask for again, markers of e-mails whose life is over, periods of unique jobs that are, causes of
    long ago, fuses, bulk actions, batches and workflows that ended long ago, ticks of schedules, incidents,
    figures of more than two weeks, and what queues and workers were like before that.

    `day` makes it one run a day; where there are too many dead jobs, it also has the hour.
    """
    return retention.prune() | nightly.prune_beside()


def turns(bulk_id: int, round: int, cursor: int | None) -> Iterator[tuple[int, int]]:
    """One turn after the other; the action's own row knows how far it is, and when it is over."""
    number = cursor or 0
    while bulk.is_open(bulk_id, round):
        number += 1
        yield number, number


# An outage of the database or of Redis is waited for; what fails for long is found again by `bulk.revive`.
@job(iterates=turns, unique="args", timeout=3600, retry=RetryPolicy(attempts=20, backoff=exponential(first=2, cap=60)))
def run_bulk(number: int, bulk_id: int, round: int) -> None:
    """Let some of a bulk action go. Between them the run waits in Redis and holds no thread."""
    if seconds := bulk.turn(bulk_id):
        raise PutOffJob(seconds, f"bulk action {bulk_id} looks again")


@job(unique="args", timeout=3600, retry=RetryPolicy(attempts=20, backoff=exponential(first=2, cap=60)))
def clear_unrecorded(queue: str, until: str, actor: str, reason: str) -> int:
    """Discard what waits in a queue and has no row. It goes with a bulk action that clears the queue."""
    count = unrecorded.discard(queue, until=datetime.fromisoformat(until), why=f"cleared by {actor}: {reason}")
    if count:
        facts = {"state": "discarded", "without_row": True}
        audit.record(actor=actor, action="clear", target=f"queue {queue}", reason=reason, count=count, after=facts)
    return count


# A tracker that is away is waited for, for about two hours.
@job(timeout=60, retry=RetryPolicy(attempts=12, backoff=exponential(first=5, cap=1800)))
def tell_error_tracker(failed: FailedRun) -> None:
    """Tell `JOBS["ERROR_TRACKER"]` of a dead job, or of a failed attempt."""
    error_tracker.tell(failed)


def waiting_members(batch_id: int, members: int, cursor: str | None) -> Iterator[tuple[str, list[UUID]]]:
    """The members that wait, some at a time; the batches within it are cancelled first."""
    batches.take_back_nested(batch_id)
    while keys := batches.waiting(batch_id, cursor):
        cursor = str(keys[-1])
        yield cursor, keys


@job(
    iterates=waiting_members,
    unique="args",
    timeout=3600,
    retry=RetryPolicy(attempts=20, backoff=exponential(first=2, cap=60)),
)
def cancel_batch(keys: list[UUID], batch_id: int, members: int) -> None:
    """Take back the members of a batch that was cancelled. `members` is how many there were when it was asked for."""
    batches.take_back(batch_id, keys)
