"""Which runs belong to an order: remembered when they are asked for, shown on its page and in the admin."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from jobs.models import JobRun
from jobs.models.runs import RunState
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
    """A run as the order's page shows it: no arguments and no errors, for any visitor sees it."""

    run: JobRun

    @property
    def job(self) -> str:
        return self.run.name.rpartition(".")[2]

    @property
    def tone(self) -> str:
        """How the state looks: the name of a colour in the shop's style sheet."""
        return TONES[RunState(self.run.state)]

    @property
    def url(self) -> str:
        """The run's page in the operators' console."""
        return reverse("admin:jobs_jobrun_change", args=[self.run.pk])

    @property
    def attempt(self) -> str:
        return f"{self.run.attempts} of {self.run.max_attempts}" if self.run.attempts else "not yet"


def remember(order: Order, run: UUID) -> None:
    """Keep that this run was asked for on behalf of the order. Call it in the transaction that asks."""
    OrderRun.objects.create(order=order, run=run)


def runs_of(order: Order) -> list[RunLine]:
    """The order's runs, oldest first, by the two indexes on a run's id and its parent."""
    shown = JobRun.objects.only("name", "queue", "state", "attempts", "max_attempts", "due_at", "parent")
    parents = set(order.runs.values_list("run", flat=True))
    found = shown.in_bulk(parents)
    for _generation in range(GENERATIONS):
        children = {run.pk: run for run in shown.filter(parent__in=parents)}
        found |= children
        parents = set(children)
    return [RunLine(found[key]) for key in sorted(found)]


def latest_by_job(lines: list[RunLine]) -> dict[str, JobRun]:
    """The newest run of each job, by the job's short name."""
    return {line.job: line.run for line in lines}
