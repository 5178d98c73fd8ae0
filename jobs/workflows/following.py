"""What follows when steps have ended: the next ones begin, and the end of the workflow is told.

1. `batches.follow` sees that a step's batch changed its state, and marks the workflow as ripe in that transaction.
2. `follow` locks a ripe workflow, and asks `policy.graph` where each step stands, from what its batch says.
3. It begins what is ready, saves the states, enqueues the callbacks, and takes the mark away, in one transaction.

Workflows are locked before runs, and those before batches: nobody waits in a circle. What cannot follow is noted as
trouble and tried again, ever more seldom; it holds up nothing but its workflow.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from jobs import troubles
from jobs.models import Batch, DeadJob, JobRun, RunState, Workflow, WorkflowStep
from jobs.models.batches import OPEN_BATCH_STATES, BatchState
from jobs.models.dead import Resolution
from jobs.models.workflows import Decided, StepState, WorkflowState
from jobs.policy import graph
from jobs.policy.backoff import exponential
from jobs.policy.graph import Node, Standing
from jobs.registry import Prepared
from jobs.workflows import beginning

logger = logging.getLogger(__name__)

_AT_ONCE = 100
_again_after = exponential(first=1, cap=60)
_SAVED = ["state", "decided", "why", "batch", "size", "run", "rounds", "started_at", "ended_at"]
_HAS_RUN = (StepState.RUNNING, StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)


def follow() -> int:
    """See to the workflows that are ripe. Returns of how many all that should follow has; the others are tried again.

    Raises the database's errors only where it is away.
    """
    ripe = Workflow.objects.filter(ripe_at__lte=timezone.now()).order_by("ripe_at")
    return sum([_guarded(pk) for pk in ripe.values_list("pk", flat=True)[:_AT_ONCE]])


def lock(pk: int) -> Workflow | None:
    """The workflow, locked until the transaction ends."""
    return Workflow.objects.select_for_update(no_key=True).filter(pk=pk).first()


def advance(workflow: Workflow, now: datetime) -> bool:
    """Begin what is ready in a locked workflow, and save where it stands. False where it is to be tried again."""
    steps = _steps(workflow)
    before = {name: _facts(step) for name, step in steps.items()}
    for step in steps.values():
        _hear(step, now)
    found = _begin_all(workflow, steps, now)
    changed = [step for name, step in steps.items() if _facts(step) != before[name]]
    for step in changed:
        step.save(update_fields=_SAVED)
    if workflow.moved_at is None or any(_place(_facts(step)) != _place(before[step.name]) for step in changed):
        workflow.moved_at, workflow.stalled_at = now, None
        workflow.stalls_at = now + timedelta(seconds=workflow.stalls_after)
    found += [trouble for event in _events(workflow) if (trouble := _tell(workflow, event, now))]
    _note(workflow, found, now)
    workflow.save()
    return not found


def nodes(workflow: Workflow, steps: Mapping[str, WorkflowStep]) -> list[Node]:
    """The steps as the policy wants them."""
    return [
        Node(step.name, [(name, wanted) for name, wanted in step.after], step.needs, _fact(step))
        for step in steps.values()
    ]


def _guarded(pk: int) -> bool:
    try:
        return _follow(pk)
    # One workflow must not hold up the others.
    except Exception as error:
        if troubles.is_outage(error):
            raise
        logger.exception("what follows of workflow %d cannot be seen to", pk, extra={"workflow": pk})
        _put_off(pk, troubles.named(error))
        return False


def _follow(pk: int) -> bool:
    with transaction.atomic(using=router.db_for_write(Workflow)):
        workflow = lock(pk)
        now = timezone.now()
        if workflow is None or workflow.ripe_at is None or workflow.ripe_at > now:
            return False
        return advance(workflow, now)


def _put_off(pk: int, trouble: str) -> None:
    """Try a workflow again later, whose rows may be what cannot be read."""
    its = Workflow.objects.filter(pk=pk)
    tried = its.values_list("troubles", flat=True).first() or 0
    again_at = timezone.now() + timedelta(seconds=_again_after(tried + 1))
    its.update(trouble=trouble, troubles=F("troubles") + 1, ripe_at=again_at)


def _facts(step: WorkflowStep) -> tuple[Any, ...]:
    return tuple(getattr(step, "batch_id" if name == "batch" else name) for name in _SAVED)


def _place(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    """What changes when a step moves: its state, and how often it began."""
    return facts[_SAVED.index("state")], facts[_SAVED.index("rounds")]


def _steps(workflow: Workflow) -> dict[str, WorkflowStep]:
    steps = workflow.steps.select_related("batch").order_by("place")
    for step in (there := {step.name: step for step in steps}).values():
        # One object, as its batch and its callbacks change it.
        step.workflow = workflow
    return there


def _hear(step: WorkflowStep, now: datetime) -> None:
    """Take from its batch how a step fares."""
    if step.batch is None or step.decided:
        return
    state = _state_of(step, step.batch)
    if state == step.state:
        return
    step.state = state
    step.why = _why(step.batch) if state == StepState.FAILED else ""
    step.ended_at = None if state == StepState.RUNNING else step.batch.ended_at or now


def _state_of(step: WorkflowStep, batch: Batch) -> StepState:
    # One whose dead run has just been revived has ended for a moment more.
    if batch.state in OPEN_BATCH_STATES or batch.ended < batch.total:
        return StepState.RUNNING
    if batch.state == BatchState.SUCCEEDED and (step.state == StepState.SUCCEEDED or not _was_given_up(batch)):
        return StepState.SUCCEEDED
    if batch.state == BatchState.CANCELLED and step.workflow.cancelled_at:
        return StepState.CANCELLED
    return StepState.FAILED


def _was_given_up(batch: Batch) -> bool:
    """Whether a person discarded a dead run of it: that is no success, where a run that discards itself is one."""
    if not batch.discarded:
        return False
    return DeadJob.objects.filter(run__batch=batch.pk, resolution=Resolution.DISCARDED).exists()


def _why(batch: Batch) -> str:
    dead = JobRun.objects.filter(batch=batch.pk, state=RunState.DEAD)
    error = dead.values_list("error_class", "error_message").first()
    count = f"{batch.dead} of {batch.total} runs died" if batch.total > 1 else "its run died"
    if error and error[0]:
        return f"{count}: {error[0]}: {error[1]}"[:500]
    ended = [f"{count} {word}" for word in ("cancelled", "discarded") if (count := getattr(batch, word))]
    return f"of {batch.total} runs: {', '.join(ended)}" if ended else count


def _fact(step: WorkflowStep) -> str:
    if step.decided == Decided.REFUSED:
        return graph.FAILED
    if step.decided:
        return step.decided
    # Also of a batch that is gone: what has run is not begun again for that.
    return step.state if step.state in _HAS_RUN and step.rounds else ""


def _begin_all(workflow: Workflow, steps: dict[str, WorkflowStep], now: datetime) -> list[str]:
    """Begin each step that is ready, and those after the ones that turn out not to; say where they and the workflow
    stand. Returns why some that are ready cannot begin now."""
    cancelled = workflow.cancelled_at is not None
    refused: dict[str, str] = {}
    while True:
        there = nodes(workflow, steps)
        found = graph.standings(there, cancelled=cancelled)
        ready = [name for name, standing in found.items() if standing.state == graph.READY and name not in refused]
        if not ready:
            break
        for name in ready:
            if trouble := _begin(steps[name], steps, now):
                refused[name] = trouble
    for node in there:
        _stand(steps[node.name], node, found[node.name], refused.get(node.name, ""), now)
    workflow.state = WorkflowState(graph.end(there, found, cancelled=cancelled))
    workflow.ended_at = None if workflow.state == WorkflowState.RUNNING else workflow.ended_at or now
    return list(refused.values())


def _begin(step: WorkflowStep, steps: Mapping[str, WorkflowStep], now: datetime) -> str:
    """Begin a step; returns why that cannot be now, empty where it is settled."""
    return troubles.of(f'"{step.name}" cannot begin', lambda: beginning.begin(step, steps, now))


def _stand(step: WorkflowStep, node: Node, standing: Standing, trouble: str, now: datetime) -> None:
    """Give a step the state that follows, where its own batch does not say it."""
    if node.fact and not step.decided:
        return
    step.state = StepState.WAITING if standing.state == graph.READY else StepState(standing.state)
    if not step.decided:
        step.why = (trouble or standing.why)[:500]
    step.ended_at = None if standing.is_open else step.ended_at or now


def _events(workflow: Workflow) -> Sequence[str]:
    return {
        WorkflowState.RUNNING: (),
        WorkflowState.SUCCEEDED: ("complete", "success"),
        WorkflowState.FAILED: ("complete", "failure"),
        WorkflowState.CANCELLED: ("complete",),
    }[WorkflowState(workflow.state)]


def _tell(workflow: Workflow, event: str, now: datetime) -> str:
    """Enqueue the callback of an event unless it was told of; returns why that cannot be, empty where it was done."""
    if getattr(workflow, f"{event}_told_at"):
        return ""
    if trouble := call_back(workflow, event):
        return trouble
    setattr(workflow, f"{event}_told_at", now)
    return ""


def call_back(workflow: Workflow, event: str) -> str:
    """Enqueue the callback of an event, if there is one; returns why that cannot be."""
    prepared = getattr(workflow, f"on_{event}")
    if prepared is None:
        return ""
    where = {"parent": workflow.parent, "correlation": workflow.correlation}
    return troubles.of(f"on_{event} cannot be enqueued", lambda: Prepared.of(prepared).enqueue(**where))


def _note(workflow: Workflow, found: list[str], now: datetime) -> None:
    whose = f"workflow {workflow.pk}"
    workflow.trouble = trouble = troubles.together(found, before=workflow.trouble, whose=whose, workflow=workflow.pk)
    workflow.troubles = workflow.troubles + 1 if trouble else 0
    workflow.ripe_at = now + timedelta(seconds=_again_after(workflow.troubles)) if trouble else None
