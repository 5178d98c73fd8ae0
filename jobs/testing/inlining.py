"""Runs what is enqueued in this process, with no Redis and no row: one attempt each, and no retries."""

from __future__ import annotations

import time
import uuid
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import router
from django.utils import timezone
from rq.utils import utcformat

from jobs import callbacks, circuits
from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.enqueueing import Run, build, message_of
from jobs.handles import run_of
from jobs.models import JobRun
from jobs.registry import Bound, Call, Job, Placing
from jobs.testing import stepping
from jobs.testing.asked import Enqueued, enqueued_from
from jobs.testing.attempts import Attempt, Attempts, attempt_of
from jobs.testing.batching import FakeBatch, InlineBooks, kept_by
from jobs.testing.committing import AfterCommit
from jobs.testing.doors import opened, stands
from jobs.testing.guarding import MAX_RUNS, check_room, raise_if_not_of_jobs
from jobs.worker import lifecycle
from jobs.worker.desk import FORGETFUL

Errors = Literal["raise", "keep"]
_WORKER = "inline"


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A run that was asked for and has not begun."""

    job: Job[Any, Any]
    row: JobRun

    @property
    def due_at(self) -> datetime:
        return self.row.due_at or self.row.created_at

    def claim(self) -> Claim:
        """The run as a worker would get it from Redis: everything has been text in between."""
        message = message_of(self.row, durable=self.job.options.durable)
        fields = message.fields(utcformat(timezone.now())) | {"attempts": 1, "claimed_ms": int(time.time() * 1000)}
        return Claim(message.run_id, message.queue, _WORKER, {key: str(value) for key, value in fields.items()})


class InlineJobs:
    """What has run since `inline()` began, as `attempts`, what is scheduled, and the `batches`."""

    def __init__(self, *, errors: Errors, max_runs: int, commits: AfterCommit) -> None:
        self.attempts = Attempts()
        self._errors = errors
        self._max_runs = max_runs
        self._scheduled: list[_Waiting] = []
        self._ready: deque[_Waiting] = deque()
        self._is_running = False
        self._running: _Waiting | None = None
        # Equal runs took their place before they began.
        self._replaced: set[uuid.UUID] = set()
        # Of unique jobs, by key. Weak, so that a run which a rollback drops is pending no more.
        self._pending: weakref.WeakValueDictionary[str, _Waiting] = weakref.WeakValueDictionary()
        self._books = InlineBooks(
            after_commit=commits.call, running=lambda: self._running.row if self._running is not None else None
        )

    @property
    def batches(self) -> list[FakeBatch]:
        """The batches that were made; `row` has their counts."""
        return self._books.batches

    @property
    def scheduled(self) -> list[Enqueued]:
        """What was enqueued for later, soonest first."""
        return [enqueued_from(waiting.row, waiting.job) for waiting in self._by_time()]

    def run_due(self, until: datetime | timedelta | float | None = None) -> Attempts:
        """Run what is scheduled, soonest first, and return the attempts.

            jobs.run_due()                      # all of it
            jobs.run_due(timedelta(hours=1))    # what is due within an hour from now
            jobs.run_due(midnight)

        What these runs schedule in their turn is left for the next call. The clock is not moved: a job that looks
        at it sees the present time.
        """
        latest = _moment(until)
        due = [waiting for waiting in self._by_time() if latest is None or waiting.due_at <= latest]
        self._scheduled = [waiting for waiting in self._scheduled if waiting not in due]
        before = len(self.attempts)
        self._run(due)
        return Attempts(self.attempts[before:])

    def __repr__(self) -> str:
        return f"<InlineJobs ran {list(self.attempts)!r}, scheduled {self.scheduled!r}>"

    def _take(self, waiting: Sequence[_Waiting]) -> None:
        """Run what may start now, and keep the rest."""
        there = [one for one in waiting if one.row.pk not in self._replaced]
        for one in there:
            self._books.added(one.row)
            stepping.added(one.row)
        self._scheduled += [one for one in there if one.row.due_at is not None]
        self._run([one for one in there if one.row.due_at is None])

    def _run(self, waiting: Iterable[_Waiting]) -> None:
        """Run these and what they enqueue, one after the other: a job that enqueues another one goes on first."""
        self._ready.extend(waiting)
        if self._is_running:
            return
        self._is_running = True
        try:
            while self._ready:
                if (next_one := self._ready.popleft()).row.pk not in self._replaced:
                    self._attempt(next_one)
        finally:
            self._is_running = False
            self._end(self._ready)
            self._ready.clear()

    def _attempt(self, waiting: _Waiting) -> None:
        check_room(self.attempts, max_runs=self._max_runs)
        claim = waiting.claim()
        unique = waiting.job.options.unique
        if unique is not None and unique.until == "started":
            self._end([waiting])
        self._running = waiting
        stepping.begun(waiting.row)
        outcome = lifecycle.outcome_of(claim, worker=_WORKER, drawers=FORGETFUL)
        self._end([waiting])
        raise_if_not_of_jobs(outcome)
        settlement = lifecycle.conclude(claim, outcome, worker=_WORKER, run_ms=0)
        attempt = attempt_of(settlement, outcome)
        self.attempts.add(attempt)
        if attempt.failed and attempt.error is not None and self._errors == "raise":
            raise attempt.error
        self._call_back(waiting.row, settlement)
        if end := _end_of(attempt):
            self._books.ended(waiting.row, end)
            stepping.ended(waiting.row, end, attempt.result)

    def _call_back(self, row: JobRun, settlement: Settlement) -> None:
        """Run what is enqueued for a run that died, or an attempt that failed."""
        for callback in callbacks.due(row, settlement.entry or {"verdict": "none"}, at=timezone.now()):
            job = callbacks.job_of(callback)
            self._take([_Waiting(job, build(job, callback.calls()[:1], callback.placing)[0])])

    def _admit(self, waiting: _Waiting) -> JobRun | None:
        """Count a run as pending; returns the row of the equal one that is, for a unique job."""
        key = waiting.row.unique_key
        if key is None:
            return None
        if (equal := self._pending.get(key)) is not None:
            if stands(waiting.job, equal.row, begun=equal is self._running):
                return equal.row
            self._replaced.add(equal.row.pk)
            self._scheduled = [one for one in self._scheduled if one is not equal]
        self._pending[key] = waiting
        return None

    def _end(self, ended: Iterable[_Waiting]) -> None:
        for waiting in ended:
            key = waiting.row.unique_key
            if key is not None and self._pending.get(key) is waiting:
                del self._pending[key]

    def _by_time(self) -> list[_Waiting]:
        return sorted(self._scheduled, key=lambda waiting: (waiting.due_at, waiting.row.pk))


@contextmanager
def inline(*, errors: Errors = "raise", max_runs: int = MAX_RUNS) -> Iterator[InlineJobs]:
    """Run what is enqueued in this block, or in a function that `@inline()` decorates, in this thread.

        with inline() as jobs:
            place_order(...)                    # its jobs have run, and those that they enqueued
        assert jobs.attempts.counts == {"done": 5}

    A run starts when its transaction commits, as in production: outside a transaction that is at once. It goes
    through the same binding, JSON and middleware and has its `current_run()`, but no row, no retry and no time
    limit. What a job raises comes out where the run was started, and what was to run after it is dropped;
    `errors="keep"` goes on and keeps it in `attempts`. What is enqueued for later waits for `run_due`.
    Circuits let all calls through. Members of a batch run as they are added, and what it calls back when all have
    ended; one that fails, with `errors="keep"`, is as dead. Workflows, and the runs of their steps, do have rows.
    Raises `TooManyRuns` after `max_runs`.
    """
    commits = AfterCommit(router.db_for_write(JobRun))
    jobs = InlineJobs(errors=errors, max_runs=max_runs, commits=commits)
    with circuits.set_aside(), opened(_InlineDoor(jobs, commits)), kept_by(jobs._books):
        with commits.watching():
            yield jobs
        commits.catch_up()


class _InlineDoor:
    def __init__(self, jobs: InlineJobs, commits: AfterCommit) -> None:
        self._jobs = jobs
        self._commits = commits

    def enqueue(self, job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> list[Run]:
        runs: list[Run] = []
        fresh: list[_Waiting] = []
        for waiting in [_Waiting(job, row) for row in build(job, calls, placing)]:
            equal = self._jobs._admit(waiting)
            if equal is None:
                fresh.append(waiting)
                self._jobs._books.note(waiting.row, enqueued_from(waiting.row, job))
            runs.append(run_of(equal or waiting.row, created=equal is None))
        self._commits.call(lambda: self._jobs._take(fresh))
        return runs


def _end_of(attempt: Attempt) -> str | None:
    """How the run of an attempt ended; None where it would go on."""
    # There is no second attempt here.
    ends = {"done": "succeeded", "bury": "dead", "retry": "dead", "discard": "discarded", "cancel": "cancelled"}
    return ends.get(attempt.verdict)


def _moment(until: datetime | timedelta | float | None) -> datetime | None:
    if until is None or isinstance(until, datetime):
        return until
    return timezone.now() + (until if isinstance(until, timedelta) else timedelta(seconds=until))
