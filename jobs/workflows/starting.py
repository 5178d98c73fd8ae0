"""Workflows begin: rows for it and for its steps, and the runs of the first ones, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs.context import current_correlation, current_run_id
from jobs.models import Workflow, WorkflowStep
from jobs.workflows import following


class StepFacts(TypedDict):
    """A step as its row has it."""

    name: str
    place: int
    call: dict[str, Any]
    each: Any
    after: list[list[str]]
    needs: str
    when: list[Mapping[str, Any]]


def start(workflow: Workflow, steps: Sequence[StepFacts]) -> Workflow:
    """Store a workflow and enqueue its first steps. One that was started with this key is given back instead."""
    if workflow.key is not None and (found := Workflow.objects.filter(key=workflow.key).first()):
        return _found(found)
    now = timezone.now()
    workflow.parent = current_run_id()
    workflow.correlation = current_correlation()
    with transaction.atomic(using=router.db_for_write(Workflow)):
        try:
            with transaction.atomic(using=router.db_for_write(Workflow)):
                workflow.save(force_insert=True)
        except IntegrityError:
            # Somebody else was quicker with the same key.
            return _found(Workflow.objects.get(key=workflow.key))
        WorkflowStep.objects.bulk_create([WorkflowStep(workflow=workflow, **facts) for facts in steps])
        following.advance(workflow, now)
    return workflow


def _found(workflow: Workflow) -> Workflow:
    workflow.created = False
    return workflow
