"""Records what is enqueued and lets nothing through: no row, no Redis, no run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from jobs import circuits, registry
from jobs.enqueueing import Run, build
from jobs.errors import BadOptions
from jobs.handles import run_of
from jobs.models import JobRun
from jobs.registry import Bound, Call, Job, Placing
from jobs.testing.asked import Enqueued, Expected, enqueued_from, expect
from jobs.testing.batching import FakeBatch, FakeBooks, kept_by
from jobs.testing.doors import opened, stands


class FakeJobs:
    """What was enqueued since `fake()` began: `enqueued` lists it, oldest first, and `batches` the batches."""

    def __init__(self) -> None:
        self.enqueued: list[Enqueued] = []
        self._books = FakeBooks()

    @property
    def batches(self) -> list[FakeBatch]:
        return self._books.batches

    def assert_enqueued(
        self,
        job: Job[..., Any] | str,
        /,
        *args: Any,
        queue: str | None = None,
        at: datetime | timedelta | float | None = None,
        within: timedelta | float | None = None,
        times: int | None = None,
        **kwargs: Any,
    ) -> Enqueued:
        """Fail unless the job was enqueued so; returns the first run that was.

            jobs.assert_enqueued(charge_order)                      # with whatever arguments
            jobs.assert_enqueued(charge_order, order.pk, queue="critical", times=1)
            jobs.assert_enqueued(remind, order.pk, at=timedelta(days=1))
            jobs.assert_enqueued(remind, order.pk, at=tomorrow, within=timedelta(minutes=1))

        Without arguments any will do; with some, they are bound to the signature as `enqueue` binds them.
        `unittest.mock.ANY` stands for any one. `at` is a time, or a delay from the asking (0: at once), which may
        be off by `within`. `times` asks for exactly so many. `job` may be a name.
        """
        __tracebackhide__ = True
        if times is not None and times < 1:
            raise BadOptions(f"times={times!r}: pass a number from 1, or use assert_not_enqueued")
        expected = self._expect(job, args, kwargs, queue=queue, at=at, within=within)
        found = self._as_expected(expected)
        if not found:
            raise AssertionError(f"{expected} was not enqueued.{self._nearest(expected)}\n{self._listed()}")
        if times not in (None, len(found)):
            raise AssertionError(f"{expected} was enqueued {len(found)} times, not {times}.\n{self._listed()}")
        return found[0]

    def assert_not_enqueued(
        self,
        job: Job[..., Any] | str,
        /,
        *args: Any,
        queue: str | None = None,
        at: datetime | timedelta | float | None = None,
        within: timedelta | float | None = None,
        **kwargs: Any,
    ) -> None:
        """Fail if the job was enqueued so. Takes what `assert_enqueued` takes, but for `times`."""
        __tracebackhide__ = True
        expected = self._expect(job, args, kwargs, queue=queue, at=at, within=within)
        if self._as_expected(expected):
            raise AssertionError(f"{expected} was enqueued.\n{self._listed()}")

    def assert_batch(self, name: str, /, *, size: int | None = None, key: str | None = None) -> FakeBatch:
        """Fail unless a batch of this name was filled, with so many members and this key; returns the first.

        jobs.assert_batch("Newsletter May", size=3, key="newsletter:17").enqueued
        """
        __tracebackhide__ = True
        for batch in self.batches:
            fits = size in (None, len(batch.enqueued)) and key in (None, batch.key)
            if batch.name == name and batch.is_filled and fits:
                return batch
        raise AssertionError(f"{name!r} was not filled so. There are {self.batches!r}.")

    def clear(self) -> None:
        """Forget what was enqueued so far."""
        self.enqueued.clear()

    def __repr__(self) -> str:
        return f"<FakeJobs {self.enqueued!r}>"

    def _expect(self, job: Job[..., Any] | str, args: Any, kwargs: Any, **rest: Any) -> Expected:
        known = registry.get(job) if isinstance(job, str) else job
        if not isinstance(known, Job):
            raise BadOptions(f"{known!r} is not a job; pass what @job made, or its name")
        return expect(known, args, kwargs, **rest)

    def _as_expected(self, expected: Expected) -> list[Enqueued]:
        return [one for one in self._of(expected.name) if not expected.differences(one)]

    def _of(self, name: str) -> list[Enqueued]:
        return [one for one in self.enqueued if one.name == name]

    def _nearest(self, expected: Expected) -> str:
        misses = [(expected.differences(one), one) for one in self._of(expected.name)]
        if not misses:
            return ""
        differences, nearest = min(misses, key=lambda miss: len(miss[0]))
        return f"\nThe nearest was {nearest!r}: {'; '.join(differences)}."

    def _listed(self) -> str:
        if not self.enqueued:
            return "Nothing was enqueued."
        return "\n".join(["Enqueued were:", *(f"  {number}. {one!r}" for number, one in enumerate(self.enqueued, 1))])


@contextmanager
def fake() -> Iterator[FakeJobs]:
    """Record what is enqueued in this block, or in a function that `@fake()` decorates, and let nothing run.

        with fake() as jobs:
            place_order(...)
        jobs.assert_enqueued(process_order, order.pk)

    Arguments are bound and refused as in production. A run is recorded when it is asked for, also in a transaction
    that is rolled back later. It has no row: `run.row()` raises `JobRun.DoesNotExist`. An equal run of a unique
    job is not recorded twice, since nothing ends here. A batch has no row either, and calls nobody back.
    """
    jobs = FakeJobs()
    with circuits.set_aside(), opened(_FakeDoor(jobs)), kept_by(jobs._books):
        yield jobs


class _FakeDoor:
    def __init__(self, jobs: FakeJobs) -> None:
        self._jobs = jobs
        self._pending: dict[str, JobRun] = {}

    def enqueue(self, job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> list[Run]:
        return [self._record(job, row) for row in build(job, calls, placing)]

    def _record(self, job: Job[Any, Any], row: JobRun) -> Run:
        equal = self._pending.get(row.unique_key) if row.unique_key else None
        if equal is not None:
            if stands(job, equal):
                return run_of(equal, created=False)
            self._jobs.enqueued[:] = [one for one in self._jobs.enqueued if one.id != equal.pk]
        if row.unique_key:
            self._pending[row.unique_key] = row
        enqueued = enqueued_from(row, job)
        self._jobs.enqueued.append(enqueued)
        self._jobs._books.note(row, enqueued)
        return run_of(row)
