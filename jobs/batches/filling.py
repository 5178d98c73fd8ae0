"""Making a batch and adding members to it.

1. `with batch(…)` stores the batch, or opens the one that has the key.
2. Outside a transaction each slice of members commits by itself, so that they start at once and nobody waits for it.
3. At the end of the block it is sealed: when all members have ended, so has the batch.
4. A block that raises cancels what waits, unless the batch has a key: then whoever asks with it again goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ParamSpec

from django.utils import timezone

from jobs.batches.books import books
from jobs.batches.calling import Callback, stored
from jobs.batches.pacing import Pace
from jobs.context import current_correlation, current_run_id
from jobs.errors import BadBatch, BatchCancelled
from jobs.handles import Run, Runs
from jobs.models import Batch
from jobs.registry import Call, Job, Placed, Placing, Prepared

logger = logging.getLogger(__name__)

P = ParamSpec("P")

_LONGEST = 200
# For members that are added one by one, the batch is looked at no more often than so.
_LOOK_SECONDS = 1.0


class OpenBatch:
    """A batch to which members can be added: `with batch(…) as b`, and `batches.current()` in a member."""

    def __init__(self, row: Batch, *, pace: Pace | None = None, by_member: bool = False) -> None:
        self._row = row
        self._pace = pace or Pace()
        self._by_member = by_member
        self._looked_at: float | None = None

    @property
    def id(self) -> int:
        return self._row.pk

    @property
    def name(self) -> str:
        return self._row.name

    @property
    def key(self) -> str | None:
        return self._row.key

    @property
    def is_filled(self) -> bool:
        """Whether the batch with this key was filled before: then no more can be added from outside."""
        return self._row.sealed_at is not None and not self._by_member

    def row(self) -> Batch:
        """The batch's row as it is now. Raises `Batch.DoesNotExist` for one that was pruned."""
        return books().row(self._row)

    def pending(self) -> int:
        """How many members have not ended now. Costs two queries."""
        return books().pending(self._row)

    def enqueue(self, job: Job[P, Any] | Placed[P], /, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Add one member. Refuses what `Job.enqueue` refuses.

        Raises `BatchFilled` when the batch was filled before, `BatchCancelled` when somebody cancelled it.
        """
        placed = _placed(job)
        self._look()
        run: Run = self._in(placed, self._due(placed, 1)).enqueue(*args, **kwargs)
        return run

    def add(self, prepared: Prepared) -> Run:
        """Add one member that was prepared. Refuses what `enqueue` refuses."""
        placed = Placed(prepared.job, prepared.placing)
        return self.enqueue(placed, *prepared.call.args, **prepared.call.kwargs)

    def enqueue_many(
        self,
        job: Job[..., Any] | Placed[...],
        calls: Iterable[Call],
        *,
        once: str | None = None,
        slice: int | None = None,
        every: timedelta | None = None,
    ) -> int:
        """Add a member for each call, as many as a generator gives. Returns how many were added.

        Outside a transaction they commit by slices of up to `slice` calls, 1,000 where that is not said; inside one
        all or none. `every` lets a slice start that long after the one before it. With `once` all the calls are one
        slice of that name, in one transaction, and added only if it is not there: 0 says that it was.
        An equal run of a unique job that is pending is no member, and is not counted.
        Raises as `enqueue` does; what was committed before stays.
        """
        placed = _placed(job)
        pace = self._pace.but(slice=slice, every=every)
        if once is not None:
            return self._add(placed, calls, self._due(placed, 0, pace), once=_text("once", once))
        if pace.every is None and books().is_in_transaction():
            # One asking is a stream, with all that it pushes in one file.
            return self._add(placed, calls, None)
        return sum(self._add(placed, some, due) for some, due in self._cut(placed, calls, pace))

    def batch(self, name: str, **options: Any) -> Filling:
        """A batch within this one, which ends when that has ended. Takes what `batch` takes."""
        return Filling(name, within=self, **options)

    def __repr__(self) -> str:
        return f"<batch {self.id}: {self.name}>"

    def _look(self) -> None:
        """Raises where members may not be added any more, as it was a second ago at the most."""
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at > _LOOK_SECONDS:
            with books().adding(self._row, once=None, by_member=self._by_member):
                self._looked_at = now

    def _add(self, placed: Placed[Any], calls: Iterable[Call], due: datetime | None, *, once: str | None = None) -> int:
        with books().adding(self._row, once=once, by_member=self._by_member) as is_fresh:
            return _created(self._in(placed, due).enqueue_many(calls)) if is_fresh else 0

    def _in(self, placed: Placed[P], due: datetime | None) -> Placed[P]:
        at = placed.placing.at if due is None else due
        return Placed(placed.job, replace(placed.placing, batch=self.id, at=at))

    def _cut(
        self, placed: Placed[Any], calls: Iterable[Call], pace: Pace
    ) -> Iterator[tuple[list[Call], datetime | None]]:
        rest = iter(calls)
        while some := list(islice(rest, pace.room or pace.slice)):
            yield some, self._due(placed, len(some), pace)

    def _due(self, placed: Placed[Any], count: int, pace: Pace | None = None) -> datetime | None:
        """When the next `count` members may start; a slice of its own for 0."""
        pace = pace or self._pace
        if pace.every is None:
            return None
        if placed.placing.at is not None:
            raise BadBatch(f"{self.name}: {placed.job.name} has a time of its own, and every= says another; leave one")
        if not pace.room or not count:
            pace.begin(books().latest_due(self._row), timezone.now())
        pace.room = max(0, pace.room - count) if count else 0
        return pace.due


class Filling:
    """`with batch(…) as b:` and `with b.batch(…) as inner:`; see `batch`."""

    def __init__(
        self,
        name: str,
        *,
        within: OpenBatch | None = None,
        key: str | None = None,
        on_success: Callback | None = None,
        on_complete: Callback | None = None,
        on_death: Callback | None = None,
        slice: int | None = None,
        every: timedelta | None = None,
    ) -> None:
        self._name = _text("name", name)
        self._key = None if key is None else _text("key", key)
        self._within = within
        self._pace = Pace(slice, every)
        self._callbacks = {
            "on_success": stored("on_success", on_success),
            "on_complete": stored("on_complete", on_complete),
            "on_death": stored("on_death", on_death),
        }

    def __enter__(self) -> OpenBatch:
        if self._within is None:
            self._row = books().open(self._new())
        else:
            with books().adding(self._within._row, once=None, by_member=self._within._by_member):
                self._row = books().open(self._new())
        self._opened = OpenBatch(self._row, pace=self._pace)
        return self._opened

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._opened._looked_at = None
        if error is None:
            books().seal(self._row)
        elif not isinstance(error, BatchCancelled):
            self._give_up(error)

    def _new(self) -> Batch:
        return Batch(
            name=self._name,
            key=self._key,
            within_id=self._within.id if self._within else None,
            parent=current_run_id(),
            correlation=current_correlation(),
            **self._callbacks,
        )

    def _give_up(self, error: BaseException) -> None:
        facts = {"batch": self._row.pk, "error": repr(error)}
        if self._row.sealed_at is not None:
            return
        if self._key is not None:
            text = "batch %d is not filled: %r; ask for it again with its key"
            logger.warning(text, self._row.pk, error, extra=facts)
            return
        logger.warning("batch %d is cancelled, for what filled it raised %r", self._row.pk, error, extra=facts)
        books().abandon(self._row, f"what filled it raised {error!r}")


def batch(
    name: str,
    *,
    key: str | None = None,
    on_success: Callback | None = None,
    on_complete: Callback | None = None,
    on_death: Callback | None = None,
    slice: int | None = None,
    every: timedelta | None = None,
) -> Filling:
    """A batch, filled in the length of a `with` block.

        with batch("Newsletter May", key="newsletter:17", on_success=tell.prepare(17)) as b:
            b.enqueue_many(send_issue, ((17, pk) for pk in pks.iterator()))

    With a `key`, whoever asks again gets the same batch: one that is being filled is gone on with, of one that was
    filled `is_filled` is true. The callbacks are prepared calls, or jobs: one that takes an argument gets an
    `EndedBatch`. Each is enqueued once: `on_death` when the first member dies, `on_complete` when all have ended,
    `on_success` when all have succeeded or were discarded. `slice` and `every` as `enqueue_many` has them, for all of
    the block. A block that raises cancels the members that wait, unless there is a key.

    Raises `BadBatch` for what cannot be.
    """
    return Filling(
        name,
        key=key,
        on_success=on_success,
        on_complete=on_complete,
        on_death=on_death,
        slice=slice,
        every=every,
    )


def start(name: str, *first: Prepared, **options: Any) -> OpenBatch:
    """A batch that begins with these members, and is filled by them: each can add others by `current()`.

    It is there with them or not at all, and with a `key` only once: asked for again, it is that one. Takes what
    `batch` takes, but for `slice` and `every`: nothing stores them, so who adds the others says them. Returns what the
    `with` of `batch` gives.
    """
    for option in {"slice", "every"} & options.keys():
        cure = f"say it in the members that fill it: batches.current().enqueue_many(…, {option}=…)"
        raise BadBatch(f"{name}: start keeps no {option}=; {cure}")
    with books().together(), batch(name, **options) as begun:
        if not begun.is_filled:
            for prepared in first:
                begun.add(prepared)
    return begun


def current() -> OpenBatch | None:
    """The batch of which the current run is a member, to add others; None where there is none."""
    row = books().current()
    return None if row is None else OpenBatch(row, by_member=True)


def _placed(job: Job[P, Any] | Placed[P]) -> Placed[P]:
    if isinstance(job, Job):
        return Placed(job, Placing())
    if isinstance(job, Placed):
        return job
    raise BadBatch(f"{job!r} is no job: pass what @job made, or what its using(…) gives")


def _created(runs: Any) -> int:
    if isinstance(runs, Runs):
        return len(runs) - len(runs.others)
    return sum(run.created is not False for run in runs)


def _text(option: str, text: str) -> str:
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST or not text.isprintable():
        raise BadBatch(f"{option}={text!r}: pass a printable text of 1 to {_LONGEST} characters")
    return text
