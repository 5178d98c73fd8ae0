"""Workflows in which nothing has moved for too long: what was lost is begun again, what is not ours is told.

A run that is alive is never doubled: a step begins again only where its batch waits for runs of which no row is left.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from jobs import audit, batches, registry, troubles
from jobs.broker.push import withdraw
from jobs.models import Batch, JobRun, RunState, Workflow, WorkflowStep
from jobs.models.runs import PENDING_STATES
from jobs.models.workflows import StepState, WorkflowState
from jobs.signals import workflow_stalled
from jobs.workflows import following, operating

logger = logging.getLogger(__name__)

ACTOR = "workflow monitor"
_AT_ONCE = 100


@dataclass
class _Findings:
    """What a look at a workflow in which nothing moved has found."""

    lost: list[WorkflowStep] = field(default_factory=list)
    # Batches whose runs have all ended, and that nobody looked at.
    missed: list[int] = field(default_factory=list)
    # What waits, in words, and has no known time.
    waits: list[str] = field(default_factory=list)
    # Until when something that is alive may take.
    alive_until: datetime | None = None


def stalled() -> QuerySet[Workflow]:
    """The workflows that were found stalled and have not moved since, and those of which that is to be found out."""
    overdue = Q(stalls_at__lt=timezone.now()) | Q(stalled_at__isnull=False)
    return Workflow.objects.filter(overdue, state=WorkflowState.RUNNING).order_by("pk")


def recover() -> int:
    """See to the workflows in which nothing has moved for their `stalls_after`. Returns how many had stalled.

    Where runs were lost, their step begins again; what is alive, or due later, is waited for. Of the others it is told:
    in the log, by the signal `workflow_stalled`, by `on_stall` and on their row. Raises the database's errors only
    where it is away.
    """
    overdue = Workflow.objects.filter(state=WorkflowState.RUNNING, stalls_at__lt=timezone.now()).order_by("stalls_at")
    return sum([_guarded(pk) for pk in overdue.values_list("pk", flat=True)[:_AT_ONCE]])


def _guarded(pk: int) -> bool:
    try:
        return _recover(pk)
    # One workflow must not hold up the others.
    except Exception as error:
        if troubles.is_outage(error):
            raise
        logger.exception("workflow %d cannot be looked at", pk, extra={"workflow": pk})
        Workflow.objects.filter(pk=pk).update(stalls_at=timezone.now() + timedelta(minutes=5))
        return False


def _recover(pk: int) -> bool:
    with transaction.atomic(using=router.db_for_write(Workflow)):
        workflow = following.lock(pk)
        now = timezone.now()
        if workflow is None or workflow.state != WorkflowState.RUNNING or (workflow.stalls_at or now) >= now:
            return False
        findings = _look(workflow, now)
        span = timedelta(seconds=workflow.stalls_after)
        if findings.alive_until and not (findings.lost or findings.missed or workflow.trouble):
            workflow.stalls_at = max(now, findings.alive_until) + span
            workflow.save()
            return False
        _tell(workflow, findings, now)
    return True


def _look(workflow: Workflow, now: datetime) -> _Findings:
    findings = _Findings()
    for step in workflow.steps.filter(state=StepState.RUNNING).select_related("batch").order_by("place"):
        _look_at(step, findings, now)
    return findings


def _look_at(step: WorkflowStep, findings: _Findings, now: datetime) -> None:
    if step.batch is None:
        _look_in_redis(step, findings)
        return
    pending = JobRun.objects.filter(batch=step.batch.pk, state__in=PENDING_STATES)
    if not pending.exists():
        _look_at_counts(step, step.batch, findings)
        return
    due = pending.filter(Q(state=RunState.RUNNING) | Q(due_at__gt=now))
    if due.exists():
        latest = due.aggregate(at=Max("due_at"))["at"]
        findings.alive_until = max(filter(None, [findings.alive_until, latest, now]))
        return
    first = pending.order_by("pk").first()
    if first is not None:
        since = first.due_at or first.created_at
        findings.waits.append(
            f'"{step.name}" has been {first.get_state_display()} in {first.queue} since {since:%F %R}'
        )


def _look_at_counts(step: WorkflowStep, batch: Batch, findings: _Findings) -> None:
    """None of its runs is pending: either all have ended, as its counts say or should, or some are gone."""
    # Where old code recorded some, as in a deploy, nobody counted them.
    batches.repair(batch, actor=ACTOR, reason="its members have ended, and were not counted")
    # As it was read, one may have ended since.
    batch.refresh_from_db()
    if batch.ended >= batches.total_of(batch):
        findings.missed.append(batch.pk)
    else:
        _look_in_redis(step, findings)


def _look_in_redis(step: WorkflowStep, findings: _Findings) -> None:
    """Take back what waits there of a step whose rows are gone: what has started is alive."""
    queue = step.call.get("queue") or registry.get(step.job).options.queue
    there = dict(JobRun.objects.filter(pk__in=step.run_ids()).values_list("pk", "state"))
    gone = set(step.run_ids()) - set(there)
    if set(there.values()) & set(PENDING_STATES):
        findings.waits.append(f'"{step.name}" runs, and its batch is gone')
    elif "started" in {withdraw(str(run_id), queue=queue, life=0) for run_id in gone}:
        findings.waits.append(f'"{step.name}" runs, and its row is gone')
    else:
        findings.lost.append(step)


def _tell(workflow: Workflow, findings: _Findings, now: datetime) -> None:
    """Begin again what was lost, and say what was found."""
    for step in findings.lost:
        operating.reset(step)
    Batch.objects.filter(pk__in=findings.missed).update(ripe=True)
    recovered = [step.name for step in findings.lost]
    workflow.stalls += 1
    following.advance(workflow, now)
    said = _in_words(workflow, findings)
    workflow.stalled_at = None if findings.lost else now
    workflow.stalls_at = now + timedelta(seconds=workflow.stalls_after)
    if trouble := following.call_back(workflow, "stall"):
        said = f"{said}; {trouble}"
    workflow.trouble = workflow.trouble or ("" if findings.lost else said[:500])
    workflow.save()
    audit.record(
        actor=ACTOR,
        action="recover workflow",
        target=f"workflow {workflow.pk}",
        reason=said,
        after={"begun again": recovered, "stalls": workflow.stalls},
    )
    logger.error("%s has stalled: %s", workflow, said, extra={"workflow": workflow.pk, "recovered": recovered})
    transaction.on_commit(
        lambda: workflow_stalled.send_robust(workflow.name, workflow=workflow, recovered=recovered),
        using=router.db_for_write(Workflow),
    )


def _in_words(workflow: Workflow, findings: _Findings) -> str:
    said = [f'the runs of "{step.name}" were lost, and it begins again' for step in findings.lost]
    said += findings.waits
    if findings.missed:
        said.append("what follows of runs that have ended was not looked at")
    if workflow.trouble:
        said.append(workflow.trouble)
    return "; ".join(said) or "nothing of it was under way; it was looked at anew"
