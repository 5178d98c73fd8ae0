"""Which runs belong to an order: remembered when they are asked for, shown on its page and in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from jobs.models import JobRun
from jobs.models.runs import PENDING_STATES, RunState
from orders.models import Order, OrderRun

# Asked by the shop, asked by those, asked by these: the shop's jobs go no deeper.
GENERATIONS = 2

TONES = {
    RunState.SCHEDULED: "waiting",
    RunState.QUEUED: "waiting",
    RunState.RUNNING: "working",
    RunState.RETRYING: "working",
    RunState.SUCCEEDED: "done",
    RunState.DEAD: "problem",
    RunState.DISCARDED: "waiting",
    RunState.CANCELLED: "waiting",
}


@dataclass(frozen=True)
class RunLine:
    """A run as the order's page shows it: no arguments and no errors, for any visitor sees it.

    `tone` is the name of a colour in the shop's style sheet, `url` the run's page in the operators' console.
    """

    job: str
    queue: str
    state: str
    tone: str
    attempts: int
    max_attempts: int
    url: str
    id: UUID

    @property
    def is_dead(self) -> bool:
        return self.state == RunState.DEAD

    @property
    def is_given_up(self) -> bool:
        """Whether somebody, or the job itself, has ended it without success."""
        return self.state in (RunState.DISCARDED, RunState.CANCELLED)

    @property
    def is_pending(self) -> bool:
        """Whether it has not ended."""
        return self.state in PENDING_STATES

    @property
    def is_retrying(self) -> bool:
        return self.state == RunState.RETRYING

    @property
    def is_active(self) -> bool:
        """Whether something will happen to it in a moment."""
        return self.state in (RunState.QUEUED, RunState.RUNNING)

    @property
    def attempt(self) -> str:
        return f"{self.attempts} of {self.max_attempts}" if self.attempts else "not yet"


def remember(order: Order, run: UUID) -> None:
    """Keep that this run was asked for on behalf of the order. Call it in the transaction that asks."""
    OrderRun.objects.create(order=order, run=run)


def runs_of(order: Order) -> list[RunLine]:
    """The order's runs, oldest first, by the two indexes on a run's id and its parent."""
    shown = JobRun.objects.only("name", "queue", "state", "attempts", "max_attempts", "parent")
    parents = set(order.runs.values_list("run", flat=True))
    found = shown.in_bulk(parents)
    for _generation in range(GENERATIONS):
        children = {run.pk: run for run in shown.filter(parent__in=parents)}
        found |= children
        parents = set(children)
    return [_line(found[key]) for key in sorted(found)]


def latest_by_job(lines: Sequence[RunLine]) -> dict[str, RunLine]:
    """The newest run of each job, by the job's short name."""
    return {line.job: line for line in lines}


def _line(run: JobRun) -> RunLine:
    return RunLine(
        job=run.name.rpartition(".")[2],
        queue=run.queue,
        state=run.state,
        tone=TONES[RunState(run.state)],
        attempts=run.attempts,
        max_attempts=run.max_attempts,
        url=reverse("admin:jobs_jobrun_change", args=[run.pk]),
        id=run.pk,
    )
