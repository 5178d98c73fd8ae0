"""Which runs belong to an order: for the order's page and the admin. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.models import JobRun
from orders.models import Order

# Asked by the shop, asked by those, asked by these: the shop's jobs go no deeper.
GENERATIONS = 2


@dataclass(frozen=True)
class RunLine:
    """A run as the order's page shows it: no arguments and no errors, for any visitor sees it."""

    run: JobRun

    @property
    def job(self) -> str:
        return self.run.name.rpartition(".")[2]

    @property
    def attempt(self) -> str:
        return f"{self.run.attempts} of {self.run.max_attempts}" if self.run.attempts else "not yet"


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
