"""What keeps batches: rows. Tests put their own in its place, as they do with the door to which runs go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Protocol

from django.db import Error, IntegrityError, connections, router, transaction
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs import enqueueing, outbox
from jobs.batches import cancelling
from jobs.batches.looking import total_of
from jobs.context import current_run_id
from jobs.errors import BadBatch, BatchCancelled, BatchFilled
from jobs.models import Batch, BatchSlice, JobRun

logger = logging.getLogger(__name__)


class Books(Protocol):
    """What keeps batches."""

    def open(self, batch: Batch) -> Batch:
        """Store a new batch; gives the one that is there where it has the same key."""

    def adding(self, batch: Batch, *, once: str | None, by_member: bool) -> AbstractContextManager[bool]:
        """A block in which members are added, all or none; false where the slice `once` is there already.

        Raises `BatchCancelled`, and `BatchFilled` unless a member adds.
        """

    def row(self, batch: Batch) -> Batch:
        """The batch as it is now."""

    def pending(self, batch: Batch) -> int:
        """How many members have not ended."""

    def together(self) -> AbstractContextManager[object]:
        """A block of which all is stored, or nothing."""

    def is_in_transaction(self) -> bool:
        """Whether what is added is only there when a transaction of the caller's commits."""

    def latest_due(self, batch: Batch) -> datetime | None:
        """When the latest slice is due; None where there is none."""

    def seal(self, batch: Batch) -> None:
        """No more members come, but from members."""

    def abandon(self, batch: Batch, why: str) -> None:
        """Nobody will go on to fill it: take back what waits. Never raises for the database."""

    def current(self) -> Batch | None:
        """The batch of which the current run is a member."""


class Rows:
    """See `Books`: the tables."""

    def open(self, batch: Batch) -> Batch:
        using = router.db_for_write(Batch)
        if enqueueing.open_elsewhere(using):
            raise BadBatch(
                f"{batch.name}: a transaction of another database is open. A batch begins in none, or in one of "
                f'the runs\' own: transaction.atomic(using="{using}").'
            )
        if found := _of_key(batch):
            return found
        try:
            with transaction.atomic(using=using):
                batch.save(force_insert=True)
        except IntegrityError:
            if found := _of_key(batch):
                return found
            raise
        return batch

    @contextmanager
    def adding(self, batch: Batch, *, once: str | None, by_member: bool) -> Iterator[bool]:
        with _block(once):
            is_fresh = once is None or _claim(batch, once)
            if is_fresh:
                _refuse(batch, by_member=by_member)
            yield is_fresh

    def row(self, batch: Batch) -> Batch:
        return Batch.objects.get(pk=batch.pk)

    def pending(self, batch: Batch) -> int:
        row = self.row(batch)
        return max(0, total_of(row) - row.ended)

    def together(self) -> AbstractContextManager[object]:
        return transaction.atomic(using=router.db_for_write(Batch))

    def is_in_transaction(self) -> bool:
        return outbox.is_in_transaction(connections[router.db_for_write(JobRun)])

    def latest_due(self, batch: Batch) -> datetime | None:
        slices = BatchSlice.objects.filter(batch=batch)
        latest: datetime | None = slices.aggregate(latest=Max(Coalesce("due_at", "created_at")))["latest"]
        return latest

    def seal(self, batch: Batch) -> None:
        Batch.objects.filter(pk=batch.pk, sealed_at=None).update(sealed_at=timezone.now(), ripe=True)

    def abandon(self, batch: Batch, why: str) -> None:
        try:
            if not connections[router.db_for_write(Batch)].needs_rollback:
                cancelling.mark(batch.pk, actor=f"batch {batch.pk}", reason=why)
        except (BadBatch, Error) as error:
            logger.error("batch %d is not filled, and could not be cancelled: %s", batch.pk, error)

    def current(self) -> Batch | None:
        run_id = current_run_id()
        if run_id is None:
            return None
        batch = JobRun.objects.filter(pk=run_id).values_list("batch", flat=True).first()
        return Batch.objects.filter(pk=batch).first() if batch is not None else None


_open: Books = Rows()


def books() -> Books:
    """What keeps batches now."""
    return _open


def put(instead: Books) -> Books:
    """Let these keep batches from now on. Returns what kept them before."""
    global _open
    before, _open = _open, instead
    return before


def _of_key(batch: Batch) -> Batch | None:
    return Batch.objects.filter(key=batch.key).first() if batch.key else None


def _block(once: str | None) -> AbstractContextManager[object]:
    # To enqueue is all or none by itself.
    if once is None:
        return nullcontext()
    # Whoever is refused may go on with their transaction: a key must not stay without its members.
    return transaction.atomic(using=router.db_for_write(JobRun))


def _claim(batch: Batch, key: str) -> bool:
    """Write down that this slice is there; false where it was before. Waits for whoever is at it."""
    if BatchSlice.objects.filter(batch=batch, key=key).exists():
        return False
    try:
        with transaction.atomic(using=router.db_for_write(BatchSlice)):
            BatchSlice.objects.create(batch=batch, key=key, members=0)
    except IntegrityError:
        return False
    return True


def _refuse(batch: Batch, *, by_member: bool) -> None:
    now = Batch.objects.filter(pk=batch.pk).values_list("sealed_at", "cancelled_at").first()
    if now is None:
        raise BadBatch(f"batch {batch.pk} is gone: it ended long ago, or its transaction was rolled back")
    sealed_at, cancelled_at = now
    if cancelled_at:
        raise BatchCancelled(f"batch {batch.pk} ({batch.name}) was cancelled at {cancelled_at:%F %T %Z}")
    if sealed_at and not by_member:
        raise BatchFilled(
            f"batch {batch.pk} ({batch.name}) was filled at {sealed_at:%F %T %Z}. Look at is_filled first where a key "
            "may be asked for again, make another batch, or add from a member by batches.current()."
        )
