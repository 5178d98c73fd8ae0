"""The page of one run: its life as a timeline, what it is waiting for, and what belongs to it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from jobs import by_hand, registry, sheets
from jobs.admin import access, acting, audit_log, how_far
from jobs.admin.console import ConsoleAdmin
from jobs.admin.removed import removed
from jobs.admin.run_actions import ACTIONS, open_burial
from jobs.admin.run_list import LISTED
from jobs.admin.timeline import timeline
from jobs.admin.why_section import heading, why_section
from jobs.models import Batch, DeadJob, FailureCause, JobAttempt, JobRun, RunState, WorkflowStep
from jobs.models.schedules import ScheduleTick, TickState
from jobs.policy.lifeline import Lifeline, lifeline
from jobs.sheets import Sheet

# More would bury what matters; the page says when there is more.
SHOWN_ATTEMPTS = 50
SHOWN_CHILDREN = 20


def run_page(console: ConsoleAdmin, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One run: what happened to it, what comes next, and what belongs to it."""
    run = JobRun.objects.defer("payload").filter(pk=pk).first()
    if run is None:
        return removed(console, request, pk)
    attempts = list(run.history.order_by("-ended_at", "-pk")[:SHOWN_ATTEMPTS])
    why = why_section(run, attempts)
    burials = list(run.burials.select_related("cause").order_by("pk"))
    children = list(JobRun.objects.filter(parent=pk).only(*LISTED).order_by("pk")[: SHOWN_CHILDREN + 1])
    steps = how_far.steps_of(run)
    return console.page(
        request,
        "run.html",
        title=run.name,
        run=run,
        burial=open_burial(burials),
        events=timeline(run, attempts[::-1], burials, timezone.now(), why=why.first.told if why else None),
        why=why,
        why_heading=why and heading(why),
        how_far=how_far.how_far(run),
        steps=steps[-how_far.SHOWN_STEPS :],
        more_steps=len(steps) > how_far.SHOWN_STEPS,
        may_fuse=access.may(request, access.MANAGE_FUSES),
        **_belongs_to(run),
        tick=_tick_of(run),
        cause=_cause_of(attempts, burials),
        circuit=_circuit_of(run),
        latest_attempt=attempts[0].pk if attempts else None,
        has_traceback=bool(attempts and attempts[0].traceback),
        attempts_capped=len(attempts) == SHOWN_ATTEMPTS,
        children=children[:SHOWN_CHILDREN],
        more_children=len(children) > SHOWN_CHILDREN,
        parent=JobRun.objects.filter(pk=run.parent).only("name", "state").first() if run.parent else None,
        lifeline=_lifeline(run, attempts, burials),
        may_edit=_may_edit(request, run),
        actions=acting.offered(request, ACTIONS, run),
        may_see_payload=access.may(request, access.VIEW_PAYLOAD),
        policy=_policy_of(run),
        audit_entries=audit_log.latest(request, str(run.pk)),
    )


def _may_edit(request: HttpRequest, run: JobRun) -> bool:
    is_known = registry.find(run.name) is not None
    return access.may(request, access.EDIT) and run.state in by_hand.EDITABLE and is_known


def _lifeline(run: JobRun, attempts: Sequence[JobAttempt], burials: Sequence[DeadJob]) -> Lifeline | None:
    """Where it waited, ran and lay dead, from the asking until its end or now; of its latest attempts."""
    if len(attempts) == SHOWN_ATTEMPTS or (run.started_at is None and not attempts):
        return None
    spans = [(each.started_at, each.ended_at) for each in attempts]
    now = timezone.now()
    if run.started_at and all(began != run.started_at for began, _ended in spans):
        spans.append((run.started_at, run.ended_at or (now if run.state == RunState.RUNNING else run.started_at)))
    dead = [(each.died_at, each.resolved_at) for each in burials if each.resolved_at]
    return lifeline(run.created_at, run.ended_at or now, spans, dead, width=600, least=3)


def _belongs_to(run: JobRun) -> dict[str, Any]:
    """The batch whose member it is, and the step of a workflow that this batch is."""
    batch = Batch.objects.filter(pk=run.batch_id).first() if run.batch_id else None
    steps = WorkflowStep.objects.select_related("workflow")
    return {"batch": batch, "step": steps.filter(batch=batch).first() if batch and batch.workflow_id else None}


def _tick_of(run: JobRun) -> ScheduleTick | None:
    """The due time of a schedule that asked for it."""
    ticks = ScheduleTick.objects.filter(run=run.pk, state=TickState.ASKED)
    return ticks.select_related("schedule").first()


def _cause_of(attempts: Sequence[JobAttempt], burials: Sequence[DeadJob]) -> FailureCause | None:
    """The cause of the latest failure."""
    if burials and burials[-1].cause_id and not burials[-1].resolution:
        return burials[-1].cause
    latest = next((attempt.fingerprint for attempt in attempts if attempt.fingerprint), None)
    return FailureCause.objects.filter(fingerprint=latest).first() if latest else None


def _policy_of(run: JobRun) -> Sheet | None:
    """What the code says of its retries now; None where this process does not know the job."""
    job = registry.find(run.name)
    return sheets.sheet(job, attempts=run.options.get("attempts")) if job is not None else None


def _circuit_of(run: JobRun) -> str | None:
    """The circuit of the job, as the code has it now."""
    job = registry.find(run.name)
    return job.options.circuit if job is not None else None
