"""Batches without rows, for `fake` and `inline`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from jobs.batches import calling, following
from jobs.batches.books import Books, put
from jobs.errors import BatchCancelled, BatchFilled
from jobs.models import Batch, JobRun
from jobs.models.batches import BatchState
from jobs.policy.batch import Standing
from jobs.testing.asked import Enqueued


@dataclass(frozen=True)
class FakeBatch:
    """A batch that was made: `row` says its name, its key and its counts, and `enqueued` lists its members."""

    row: Batch
    enqueued: list[Enqueued] = field(default_factory=list)
    once: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def key(self) -> str | None:
        return self.row.key

    @property
    def is_filled(self) -> bool:
        """Whether the block that filled it came to its end."""
        return self.row.sealed_at is not None and self.row.cancelled_at is None

    def __repr__(self) -> str:
        return f"<batch {self.name!r} of {len(self.enqueued)}>"


class FakeBooks:
    """Keeps batches in memory."""

    def __init__(self) -> None:
        self.batches: list[FakeBatch] = []

    def of(self, number: int) -> FakeBatch:
        return self.batches[-number - 1]

    def note(self, run: JobRun, enqueued: Enqueued) -> None:
        """A run was asked for, which may be a member."""
        if number := number_of(run):
            self.of(number).enqueued.append(enqueued)

    def open(self, batch: Batch) -> Batch:
        for one in self.batches:
            if batch.key and one.key == batch.key:
                return one.row
        # From -1 down: the steps of workflows have batches with rows, whose numbers are above 0.
        batch.pk = -len(self.batches) - 1
        batch.created_at = timezone.now()
        self.batches.append(FakeBatch(batch))
        return batch

    @contextmanager
    def adding(self, batch: Batch, *, once: str | None, by_member: bool) -> Iterator[bool]:
        known = self.of(batch.pk).once
        if once in known:
            yield False
            return
        if batch.cancelled_at:
            raise BatchCancelled(f"batch {batch.pk} ({batch.name}) was cancelled")
        if batch.sealed_at and not by_member:
            raise BatchFilled(f"batch {batch.pk} ({batch.name}) was filled before; look at is_filled")
        yield True
        if once is not None:
            known.add(once)

    def row(self, batch: Batch) -> Batch:
        return batch

    def pending(self, batch: Batch) -> int:
        return len(self.of(batch.pk).enqueued) - batch.ended

    def together(self) -> AbstractContextManager[object]:
        return nullcontext()

    def is_in_transaction(self) -> bool:
        return False

    def latest_due(self, batch: Batch) -> datetime | None:
        return max((one.due_at or one.asked_at for one in self.of(batch.pk).enqueued), default=None)

    def seal(self, batch: Batch) -> None:
        batch.sealed_at = batch.sealed_at or timezone.now()

    def abandon(self, batch: Batch, why: str) -> None:
        batch.cancelled_at = batch.sealed_at = timezone.now()
        batch.why = why

    def current(self) -> Batch | None:
        return None


class InlineBooks(FakeBooks):
    """Keeps batches whose members run here, and calls back."""

    def __init__(self, *, after_commit: Callable[[Callable[[], None]], None], running: Callable[[], JobRun | None]):
        super().__init__()
        self._after_commit = after_commit
        self._running = running

    def seal(self, batch: Batch) -> None:
        # As its members do, it waits for the transaction.
        self._after_commit(lambda: self._seal(batch))

    def abandon(self, batch: Batch, why: str) -> None:
        super().abandon(batch, why)
        self._advance(batch)

    def current(self) -> Batch | None:
        run = self._running()
        return self.of(number).row if run is not None and (number := number_of(run)) else None

    def added(self, run: JobRun) -> None:
        """A member waits or runs."""
        if number := number_of(run):
            self.of(number).row.total += 1

    def ended(self, run: JobRun, end: str) -> None:
        """A member has come to this end."""
        if number := number_of(run):
            batch = self.of(number).row
            setattr(batch, end, getattr(batch, end) + 1)
            self._advance(batch)

    def _seal(self, batch: Batch) -> None:
        super().seal(batch)
        self._advance(batch)

    def _advance(self, batch: Batch) -> None:
        following.advance(batch, self._standing(batch), tell=_tell)
        if batch.within_id:
            self._advance(self.of(batch.within_id).row)

    def _standing(self, batch: Batch) -> Standing:
        nested = [one.row for one in self.batches if one.row.within_id == batch.pk]
        ended = [one for one in nested if not one.is_open]
        return Standing(
            total=batch.total,
            succeeded=batch.succeeded,
            dead=batch.dead,
            discarded=batch.discarded,
            cancelled=batch.cancelled,
            is_sealed=batch.sealed_at is not None,
            is_cancelled=batch.cancelled_at is not None,
            nested_open=len(nested) - len(ended),
            nested_unwell=sum(one.state != BatchState.SUCCEEDED for one in ended),
            nested_failed=sum(one.state == BatchState.FAILED for one in ended),
            nested_dead=sum(one.death_told_at is not None for one in nested),
        )


def number_of(run: JobRun) -> int:
    """The number of the batch without a row that a run is a member of; 0 where there is none."""
    return run.batch_id if run.batch_id and run.batch_id < 0 else 0


@contextmanager
def kept_by(books: Books) -> Iterator[None]:
    """Let these keep batches for the length of a block."""
    before = put(books)
    try:
        yield
    finally:
        put(before)


def _tell(callback: dict[str, Any], batch: Batch, event: str, now: datetime) -> str:
    calling.enqueue(callback, batch, event, now)
    return ""
