"""The runs that are about an object of the app's own: `jobs_for(order)`. Reads rows, and changes nothing.

A run is about an object because its job's `subject` option or `using(subject=…)` said so when it was asked for, or
because such a run, or one that it asked for, asked for it. A run with `durable=False` is here once it has failed: it
has no row before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, overload
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from jobs.models import JobRun, RunState
from jobs.models.runs import PENDING_STATES
from jobs.policy import subjects

# Asked by those that are about the object, and asked by these.
_GENERATIONS = 2
_FIELDS = (
    "rq_id",
    "name",
    "queue",
    "state",
    "life",
    "attempts",
    "max_attempts",
    "created_at",
    "due_at",
    "started_at",
    "ended_at",
    "parent",
    "error_class",
    "error_message",
)
_WORDS = {
    RunState.SCHEDULED: _("due later"),
    RunState.QUEUED: _("waiting"),
    RunState.RUNNING: _("running"),
    RunState.RETRYING: _("failed, and is tried again"),
    RunState.SUCCEEDED: _("done"),
    RunState.DEAD: _("failed, and given up"),
    RunState.DISCARDED: _("discarded"),
    RunState.CANCELLED: _("cancelled"),
}


@dataclass(frozen=True)
class RunAbout:
    """One run about an object.

    `label` is the job's name for people, `state` one of the states of a run and `words` what it means. `at` is when
    that came about, or will: its end, its start, its due time, or when it was asked for. `error` is for operators:
    secrets are masked in it, but it is not for customers.
    """

    id: UUID
    job: str
    label: str
    queue: str
    state: str
    words: str
    at: datetime
    attempts: int
    max_attempts: int
    error: str = ""
    life: int = 0

    @property
    def short_name(self) -> str:
        """The job's name without its module."""
        return self.job.rpartition(".")[2]

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended."""
        return self.state in PENDING_STATES

    @property
    def is_active(self) -> bool:
        """Whether something will happen to it in a moment."""
        return self.state in (RunState.QUEUED, RunState.RUNNING)

    @property
    def is_retrying(self) -> bool:
        return self.state == RunState.RETRYING

    @property
    def is_dead(self) -> bool:
        """Whether it waits for a person."""
        return self.state == RunState.DEAD

    @property
    def is_given_up(self) -> bool:
        """Whether somebody, or the job itself, has ended it without success."""
        return self.state in (RunState.DISCARDED, RunState.CANCELLED)


@dataclass(frozen=True, eq=False)
class RunsAbout(Sequence[RunAbout]):
    """The latest runs about an object, oldest first. `has_more`: there are others, that are not among them."""

    runs: tuple[RunAbout, ...] = ()
    has_more: bool = False

    def __len__(self) -> int:
        return len(self.runs)

    @overload
    def __getitem__(self, place: int) -> RunAbout: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[RunAbout]: ...
    def __getitem__(self, place: Any) -> Any:
        return self.runs[place]

    def latest_by_job(self) -> dict[str, RunAbout]:
        """The newest run of each job, by the function's name."""
        return {run.short_name: run for run in self.runs}


def jobs_for(*objects: Any, most: int = 50) -> RunsAbout:
    """The latest runs that are about any of these objects, and what they asked for; in three queries at the most.

        for run in jobs_for(order):
            print(run.label, run.words, run.at, run.error)

    Up to `most` of each generation. Raises `BadOptions` for what is no stored object of a model.
    """
    named = [subjects.of_object(one) for one in objects]
    if not named:
        return RunsAbout()
    rows = JobRun.objects.only(*_FIELDS)
    about = rows.filter(subject=named[0]) if len(named) == 1 else rows.filter(subject__in=named)
    generation, has_more = _some(about.order_by("-pk"), most)
    found = {row.pk: row for row in generation}
    for _generation in range(_GENERATIONS):
        # In no order: to put a million children in one would take longer than to look at fifty.
        asked, more = _some(rows.filter(parent__in=[row.pk for row in generation]).order_by(), most)
        generation = [row for row in asked if row.pk not in found]
        found |= {row.pk: row for row in generation}
        has_more = has_more or more
        if not generation:
            break
    return RunsAbout(tuple(_about(found[key]) for key in sorted(found)), has_more)


def _some(rows: QuerySet[JobRun], most: int) -> tuple[list[JobRun], bool]:
    some = list(rows[: most + 1])
    return some[:most], len(some) > most


def _about(row: JobRun) -> RunAbout:
    state = RunState(row.state)
    return RunAbout(
        id=row.pk,
        job=row.name,
        label=label_of(row.name),
        queue=row.queue,
        state=state.value,
        words=str(_WORDS[state]),
        at=_at(row),
        attempts=row.attempts,
        max_attempts=row.max_attempts,
        error=_error(row),
        life=row.life,
    )


def label_of(job: str) -> str:
    """A job's name for people.

    >>> label_of("orders.charge_order")
    'charge order'
    """
    return job.rpartition(".")[2].replace("_", " ").strip() or job


def _at(row: JobRun) -> datetime:
    if row.state == RunState.RUNNING and row.started_at:
        return row.started_at
    if row.state in (RunState.SCHEDULED, RunState.RETRYING) and row.due_at:
        return row.due_at
    return row.ended_at or row.created_at


def _error(row: JobRun) -> str:
    if row.state == RunState.SUCCEEDED or not row.error_class:
        return ""
    return ": ".join(filter(None, [row.error_class.rpartition(".")[2], row.error_message]))


def subject_names(objects: Iterable[Any]) -> list[str]:
    """What the rows of runs about these objects have as their subject."""
    return [subjects.of_object(one) for one in objects]
