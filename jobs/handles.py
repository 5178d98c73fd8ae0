"""What `enqueue` and `enqueue_many` give back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload

from jobs.models import JobRun


@dataclass(frozen=True)
class Run:
    """What `enqueue` gives back.

    `created` is False when an equal run of a unique job was pending: this is that one. It is None for a run of a unique
    job that is written only when the transaction of another database commits: then nobody knows yet.
    """

    id: uuid.UUID
    name: str
    queue: str
    due_at: datetime | None = None
    created: bool | None = True

    def row(self) -> JobRun:
        """The run's row as it is now. Raises `JobRun.DoesNotExist` for one that is not durable, or was pruned."""
        return JobRun.objects.get(pk=self.id)

    @property
    def state(self) -> str:
        return self.row().state

    @property
    def result(self) -> Any:
        """What the job returned, once it has succeeded: plain JSON, or None when it was too large to keep."""
        return self.row().result


def run_of(row: JobRun, *, created: bool = True) -> Run:
    """The handle of a row."""
    return Run(row.pk, row.name, row.queue, row.due_at, created=created)


@dataclass(frozen=True, eq=False)
class Runs(Sequence[Run]):
    """What `enqueue_many` gives back: a `Run` per call, in the order of the calls.

    They are made when they are looked at, so that a million takes no more memory than one. Their ids rise by one
    from `first_id`. `others` has the runs that are not of this call, by their place: for a unique job, the equal ones.
    """

    name: str
    queue: str
    first_id: uuid.UUID
    size: int
    due_at: datetime | None = None
    created: bool | None = True
    others: Mapping[int, Run] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        if isinstance(index, slice):
            return [self._at(place) for place in range(*index.indices(self.size))]
        return self._at(range(self.size)[index])

    def __iter__(self) -> Iterator[Run]:
        return map(self._at, range(self.size))

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same runs."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.size} runs of {self.name} on {self.queue}>"

    def _at(self, place: int) -> Run:
        if place in self.others:
            return self.others[place]
        run_id = uuid.UUID(int=self.first_id.int + place)
        return Run(run_id, self.name, self.queue, self.due_at, created=self.created)
