"""What a run can know of the workflow whose step it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.context import current_run
from jobs.errors import NoCurrentStep, did_you_mean
from jobs.models import JobRun, Workflow, WorkflowStep
from jobs.workflows import results


@dataclass(frozen=True)
class CurrentStep:
    """The step whose run this is, and its workflow, as their rows were when it was asked for."""

    workflow: Workflow
    step: WorkflowStep
    _steps: dict[str, WorkflowStep] = field(repr=False)

    @property
    def name(self) -> str:
        return self.step.name

    def result(self, step: str) -> Any:
        """What a step of the workflow returned; None where it did not succeed, or has not yet.

        Raises `NoCurrentStep` for a name that no step has, and `ResultNotKept`.
        """
        if step not in self._steps:
            raise NoCurrentStep(f'The workflow has no step "{step}".{did_you_mean(step, self._steps)}')
        return results.of(self._steps[step])

    def state(self, step: str) -> str:
        """Where a step of the workflow stood."""
        if step not in self._steps:
            raise NoCurrentStep(f'The workflow has no step "{step}".{did_you_mean(step, self._steps)}')
        return self._steps[step].state


def current() -> CurrentStep:
    """The step and the workflow that this code runs in. Raises `NoCurrentStep` in a run that belongs to none."""
    run = current_run()
    of_run = JobRun.objects.filter(rq_id=str(run.id), batch__isnull=False).values("batch")[:1]
    step = WorkflowStep.objects.select_related("workflow").filter(batch__in=of_run).first()
    if step is None:
        raise NoCurrentStep(f"{run.name} {run.id} belongs to no workflow: enqueue it as a step of one.")
    return CurrentStep(step.workflow, step, {one.name: one for one in step.workflow.steps.all()})
