"""Steps begin: their conditions are asked, results are put where they are referred to, and their runs are enqueued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import router, transaction

from jobs.errors import AlreadyPending, ArgumentsNotJSON, ArgumentsTooLarge, ResultNotKept
from jobs.models import Batch, WorkflowStep
from jobs.models.workflows import Decided, StepState
from jobs.policy import references
from jobs.policy.references import RESULT_OF
from jobs.registry import Bound, Placed, Prepared
from jobs.workflows import conditions, results
from jobs.workflows.results import Fill


def begin(step: WorkflowStep, steps: Mapping[str, WorkflowStep], now: datetime) -> None:
    """Enqueue the runs of a step, or decide that it does not begin. Changes the step, and does not save it.

    What a deploy or a moment may mend is raised, as what `Prepared.of` and `enqueue` raise.
    """
    try:
        fill = results.filler(steps)
        if unmet := [one for one in step.when if not _holds(one, fill)]:
            return _decide(step, Decided.UNMET, f"not so: {references.in_words(unmet[0])}", now)
        prepared = Prepared.of(step.call)
        calls = _calls(step, prepared, fill)
        # Its own savepoint: of what cannot be enqueued, no batch stays.
        with transaction.atomic(using=router.db_for_write(Batch)):
            _enqueue(step, prepared, calls, now)
    except (ResultNotKept, ArgumentsTooLarge, ArgumentsNotJSON) as error:
        _decide(step, Decided.REFUSED, str(error), now)


def _decide(step: WorkflowStep, decided: Decided, why: str, now: datetime) -> None:
    step.decided, step.why, step.ended_at = decided, why[:500], now


def _holds(condition: Mapping[str, Any], fill: Fill) -> bool:
    if "predicate" in condition:
        args = references.filled(condition["args"], fill)
        return conditions.ask(condition["predicate"], args, references.filled(condition["kwargs"], fill))
    try:
        return references.holds(condition, fill(condition["of"]))
    except TypeError as error:
        raise ResultNotKept(f"{references.in_words(condition)}: {error}. Correct when=, or the result.") from error


def _calls(step: WorkflowStep, prepared: Prepared, fill: Fill) -> list[Bound]:
    if step.each is None:
        return [_filled(prepared.call, fill)]
    items = fill(step.each) if references.is_reference(step.each) else step.each
    if items is None:
        items = []
    if not isinstance(items, list):
        raise ResultNotKept(f'"{step.name}" has a run for each of {step.each.get(RESULT_OF)!r}, which is no list.')
    return [_filled(prepared.call, results.filling(fill, item)) for item in items]


def _filled(call: Bound, fill: Fill) -> Bound:
    return Bound(tuple(references.filled(call.args, fill)), references.filled(call.kwargs, fill))


def _enqueue(step: WorkflowStep, prepared: Prepared, calls: Sequence[Bound], now: datetime) -> None:
    workflow = step.workflow
    batch = Batch.objects.create(
        name=f"{workflow.name}: {step.name}"[:200],
        workflow=workflow,
        sealed_at=now,
        # Of none, nobody else would tell that they have ended.
        ripe=not calls,
        parent=workflow.parent,
        correlation=workflow.correlation,
    )
    first = None
    if calls:
        placing = replace(prepared.placing, batch=batch.pk, parent=batch.parent, correlation=batch.correlation)
        asked = Placed(prepared.job, placing).enqueue_many(calls)
        unique = prepared.job.options.unique is not None
        if equal := [run for run in asked if run.created is False] if unique else []:
            raise AlreadyPending(
                equal[0],
                f'"{step.name}" waits: {prepared.job.name} is unique, and an equal run is pending ({equal[0].id}).',
            )
        first = asked[0].id
    step.batch, step.size, step.run, step.rounds = batch, len(calls), first, step.rounds + 1
    step.state, step.why, step.started_at, step.ended_at = StepState.RUNNING, "", now, None
