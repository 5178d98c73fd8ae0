"""The verbs for workflows: retry from a step, skip a step, cancel, resume. Commands, the admin and tests call these.

Each locks the workflow, so two at once come one after the other, and the second is refused what the first has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from jobs import audit, batches, dead, runs
from jobs.broker.stops import StopOrder, order
from jobs.errors import (
    BadBatch,
    JobsError,
    NotCancellable,
    NotResumable,
    NotRetryable,
    NotSkippable,
    NotStoppable,
    did_you_mean,
)
from jobs.models import Batch, DeadJob, JobRun, RunState, Workflow, WorkflowStep
from jobs.models.dead import Resolution
from jobs.models.runs import PENDING_STATES
from jobs.models.workflows import Decided, StepState, WorkflowState
from jobs.policy import graph
from jobs.workflows import following

# More runs than this are taken back in the background.
_AT_ONCE = 100


def retry_from(workflow: Workflow, step: str, *, actor: str, reason: str = "", address: str = "") -> None:
    """Do a step that has ended anew, and all that comes after it.

    Dead runs of the step get a new life, and those of it that have succeeded stay; without dead ones it begins anew.
    What comes after begins anew when its turn comes, and its dead runs are discarded. Raises `NotRetryable` where
    the step or one after it is under way, and `NotResumable` in a workflow that was cancelled.
    """
    with _locked(workflow) as locked:
        steps = _heard(locked)
        chosen = _named(steps, step, NotRetryable)
        if locked.cancelled_at:
            raise NotResumable(f"{locked} was cancelled: resume it first.")
        if chosen.state not in (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED):
            raise NotRetryable(f'"{step}" is {chosen.get_state_display()}: only a step that has ended can be retried.')
        after = [steps[name] for name in graph.downstream(following.nodes(locked, steps), [step])]
        if running := [one.name for one in after if one.state == StepState.RUNNING]:
            raise NotRetryable(
                f'"{running[0]}", which comes after "{step}", is under way: wait for its end, or cancel.'
            )
        _record(locked, "retry step", chosen, actor=actor, reason=reason, address=address)
        words = {"actor": actor, "reason": reason or f'retried from "{step}"', "address": address}
        if not _revive(chosen, words):
            reset(chosen)
        for one in after:
            if one is not chosen:
                _resolve(one, Resolution.DISCARDED, words)
                reset(one)
        _go_on(locked)
    _refresh(workflow)


def skip(workflow: Workflow, step: str, *, actor: str, reason: str, address: str = "") -> None:
    """Leave a step out: those after it go on as if it had succeeded, and get None for its result.

    Dead runs of it are discarded. Raises `NotSkippable` where it is under way, has succeeded or was skipped.
    """
    with _locked(workflow) as locked:
        steps = _heard(locked)
        chosen = _named(steps, step, NotSkippable)
        if locked.cancelled_at:
            raise NotResumable(f"{locked} was cancelled: resume it first.")
        if chosen.decided == Decided.PASSED:
            raise NotSkippable(f'"{step}" was skipped already: {chosen.why}')
        if chosen.state in (StepState.RUNNING, StepState.SUCCEEDED):
            cure = "cancel its runs first" if chosen.state == StepState.RUNNING else "there is nothing to skip"
            raise NotSkippable(f'"{step}" is {chosen.get_state_display()}: {cure}.')
        _record(locked, "skip step", chosen, actor=actor, reason=reason, address=address)
        _resolve(chosen, Resolution.DISCARDED, {"actor": actor, "reason": reason, "address": address})
        chosen.decided, chosen.why = Decided.PASSED, f"skipped by {actor}: {reason}"[:500]
        chosen.state, chosen.ended_at = StepState.SKIPPED, timezone.now()
        chosen.save()
        _go_on(locked)
    _refresh(workflow)


def cancel(workflow: Workflow, *, actor: str, reason: str, address: str = "") -> None:
    """Let nothing more of a workflow begin, take back its runs that wait, and stop those that run.

    Raises `NotCancellable` where it has ended, `BrokerUnavailable` when Redis cannot say.
    """
    with _locked(workflow) as locked:
        steps = _heard(locked)
        if locked.state != WorkflowState.RUNNING:
            raise NotCancellable(f"{locked} has {locked.get_state_display()}: only one that runs can be cancelled.")
        _record(locked, "cancel workflow", None, actor=actor, reason=reason, address=address)
        locked.cancelled_at = timezone.now()
        _go_on(locked)
        # Last, for nothing gives back to Redis what a failure after it would leave pending here.
        running = [step.batch for step in steps.values() if step.state == StepState.RUNNING and step.batch]
        _end_runs(running, actor=actor, reason=reason, address=address)
    _refresh(workflow)


def resume(workflow: Workflow, *, actor: str, reason: str = "", address: str = "") -> None:
    """Go on with a workflow that was cancelled, where it was; or look at once at one that is in trouble or stalled.

    Runs that were cancelled with it begin anew. Raises `NotResumable` where nothing waits for that.
    """
    with _locked(workflow) as locked:
        if not (locked.cancelled_at or locked.trouble or locked.stalled_at):
            raise NotResumable(f"{locked} {_stands(locked)}: there is nothing to go on with.")
        steps = _heard(locked)
        if underway := [one.name for one in steps.values() if locked.cancelled_at and one.state == StepState.RUNNING]:
            raise NotResumable(f'"{underway[0]}" of {locked} is still being stopped: resume it in a moment.')
        _record(locked, "resume workflow", None, actor=actor, reason=reason, address=address)
        for step in steps.values():
            if step.state == StepState.CANCELLED:
                reset(step)
        locked.cancelled_at = None
        _go_on(locked)
    _refresh(workflow)


@contextmanager
def _locked(workflow: Workflow) -> Iterator[Workflow]:
    with transaction.atomic(using=router.db_for_write(Workflow)):
        locked = following.lock(workflow.pk)
        if locked is None:
            raise NotResumable(f"{workflow} is gone, for its age.")
        yield locked


def _heard(locked: Workflow) -> dict[str, WorkflowStep]:
    """The steps of a locked workflow, as they are once it was heard what their batches say by now."""
    following.advance(locked, timezone.now())
    return {step.name: step for step in locked.steps.order_by("place")}


def _named(steps: dict[str, WorkflowStep], name: str, refusal: type[JobsError]) -> WorkflowStep:
    if name not in steps:
        raise refusal(f'There is no step "{name}" in it.{did_you_mean(name, steps)}')
    return steps[name]


def _stands(workflow: Workflow) -> str:
    shown = workflow.get_state_display()
    return f"is {shown}" if workflow.state == WorkflowState.RUNNING else f"has {shown}"


def _record(workflow: Workflow, action: str, step: WorkflowStep | None, **words: Any) -> None:
    before = {"state": workflow.state, "step": step.state} if step else {"state": workflow.state}
    name = f" {step.name}" if step else ""
    audit.record(action=action, target=f"workflow {workflow.pk}{name}", before=before, **words)


def reset(step: WorkflowStep) -> None:
    """Let a step be as if it had not begun. Its earlier runs stay what they are."""
    step.state, step.decided, step.why = StepState.WAITING, "", ""
    step.batch, step.run, step.size, step.started_at, step.ended_at = None, None, 0, None, None
    step.save()


def _revive(step: WorkflowStep, words: dict[str, Any]) -> bool:
    """Requeue the dead runs of a failed step; False where it is to begin anew, for there are none."""
    if step.state != StepState.FAILED or step.batch is None or step.batch.cancelled:
        return False
    if not _resolve(step, Resolution.REQUEUED, words):
        return False
    step.state, step.why, step.ended_at = StepState.RUNNING, "", None
    step.save()
    return True


def _resolve(step: WorkflowStep, resolution: Resolution, words: dict[str, Any]) -> int:
    """Requeue or discard the dead runs of a step; returns how many."""
    if step.batch_id is None:
        return 0
    keys = list(DeadJob.objects.filter(run__batch=step.batch_id, resolution="").values_list("pk", flat=True))
    return sum([dead.resolve(some, resolution, **words).done for some in _chunks(keys)])


def _chunks(keys: list[int], size: int = 500) -> Iterable[list[int]]:
    return (keys[place : place + size] for place in range(0, len(keys), size))


def _end_runs(there: Sequence[Batch], **words: Any) -> None:
    """Take back the runs of these steps that wait, and stop those that run."""
    large: set[int] = set()
    keys: list[Any] = []
    for batch in there:
        members = JobRun.objects.filter(batch=batch.pk, state__in=PENDING_STATES)
        if members[_AT_ONCE:].exists():
            large.add(batch.pk)
            members = members.filter(state=RunState.RUNNING)
        keys += members.values_list("pk", flat=True)
    # All of them before the first ends: that locks its batch, and whoever records locks runs before batches.
    of_batch: dict[int | None, list[JobRun]] = {}
    for run in runs.lock(keys):
        of_batch.setdefault(run.batch_id, []).append(run)
    for batch in sorted(there, key=lambda batch: batch.pk):
        for run in of_batch.get(batch.pk, []):
            _end_run(run, **words)
        if batch.pk in large:
            with suppress(BadBatch):
                batches.cancel(batch, **words)


def _end_run(run: JobRun, **words: Any) -> None:
    # It may have ended meanwhile.
    with suppress(NotCancellable, NotStoppable):
        if run.state == RunState.RUNNING:
            runs.stop(run, **words)
        else:
            _cancel(run, **words)


def _cancel(run: JobRun, **words: Any) -> None:
    try:
        runs.cancel(run, **words)
    except NotCancellable:
        # It has just started, and its row may not say so yet.
        order(str(run.pk), StopOrder(run.life, words["actor"], words["reason"]))


def _go_on(workflow: Workflow) -> None:
    now: datetime = timezone.now()
    workflow.moved_at = None
    following.advance(workflow, now)


def _refresh(workflow: Workflow) -> None:
    """Let the caller's object be as the row is."""
    fresh: Any = Workflow.objects.get(pk=workflow.pk)
    workflow.__dict__.update({field.attname: getattr(fresh, field.attname) for field in Workflow._meta.concrete_fields})
