"""What steps returned, read from the rows of their runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobs.errors import BadWorkflow, ResultNotKept
from jobs.models import JobRun, RunState, WorkflowStep
from jobs.models.workflows import StepState
from jobs.policy import references
from jobs.policy.references import ITEM, RESULT_OF


def of(step: WorkflowStep) -> Any:
    """What a step returned; with a run for each of many, the list of what they did, in their order.

    None where it did not succeed, and for a run that found nothing to do. Raises `ResultNotKept`.
    """
    if step.state != StepState.SUCCEEDED or step.batch_id is None:
        return None
    # A run may have added members of its own to the batch; they were asked for later.
    rows = JobRun.objects.filter(batch=step.batch_id).order_by("pk").values_list("state", "result")[: step.size]
    found = [_kept(step, state, result) for state, result in rows]
    if len(found) < step.size:
        raise ResultNotKept(
            f'The result of "{step.name}" is gone with its run\'s row, for its age. '
            f'Retry the workflow from "{step.name}", and raise JOBS["KEEP_DAYS"], or keep the result in a row of yours.'
        )
    return found[0] if step.each is None else found


Fill = Callable[[Mapping[str, Any]], Any]


def filler(steps: Mapping[str, WorkflowStep]) -> Fill:
    """What fills references with the results of these steps, each read once."""
    known: dict[str, Any] = {}

    def fill(reference: Mapping[str, Any]) -> Any:
        name = reference[RESULT_OF]
        if name not in steps:
            raise BadWorkflow(f'The workflow has no step "{name}".')
        if name not in known:
            known[name] = of(steps[name])
        return None if known[name] is None else _within(known[name], reference, f'the result of "{name}"')

    return fill


def filling(fill: Fill, item: Any) -> Fill:
    """`fill`, where `item` is the item."""
    return lambda reference: _within(item, reference, "the item") if ITEM in reference else fill(reference)


def _kept(step: WorkflowStep, state: str, result: Any) -> Any:
    if state == RunState.SUCCEEDED and result is None:
        raise ResultNotKept(
            f'"{step.name}" returned nothing, what is not plain JSON, or more than JOBS["MAX_RESULT_BYTES"]. '
            "Let its job return something small, such as the id of a row that has the rest."
        )
    return result if state == RunState.SUCCEEDED else None


def _within(value: Any, reference: Mapping[str, Any], what: str) -> Any:
    path = reference.get("path", [])
    try:
        return references.followed(value, path)
    except LookupError as error:
        shown = "".join(f"[{part!r}]" for part in path)
        raise ResultNotKept(f"{what} has no {shown}: correct the path, or what the job returns.") from error
