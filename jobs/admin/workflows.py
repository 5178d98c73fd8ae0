"""The pages about workflows: the list, one workflow with its graph and its steps, and what can be done with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin import access, acting, audit_log
from jobs.admin.acting import Action
from jobs.admin.batches import callbacks_of
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.graph import drawing
from jobs.admin.keyset import Counted, counted, key_or_none, page_asked
from jobs.admin.workflow_actions import ACTIONS, STEP_ACTIONS
from jobs.models import JobRun, Workflow, WorkflowStep
from jobs.models.workflows import StepState, WorkflowState
from jobs.policy import references
from jobs.policy.graph import ANY, END, FAILURE, Node, downstream

# A larger graph tells nobody anything; its steps are in the table.
DRAWN_STEPS = 100
SHOWN_STEPS = 100
STALLED = "stalled"
_EVENTS = {
    "success": gettext_lazy("when it has succeeded"),
    "failure": gettext_lazy("when it has failed"),
    "complete": gettext_lazy("when it has ended"),
    "stall": gettext_lazy("each time it stalls"),
}
_OPEN_STEPS = (StepState.WAITING, StepState.RUNNING)


@dataclass
class Shown:
    """A workflow as the list shows it: how many of its steps are in which state."""

    workflow: Workflow
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        """Steps that have come to an end, whatever it was."""
        return self.total - sum(self.counts.get(state, 0) for state in _OPEN_STEPS)

    @property
    def is_open(self) -> bool:
        return self.workflow.state == WorkflowState.RUNNING

    @property
    def is_stalled(self) -> bool:
        return self.is_open and self.workflow.stalled_at is not None

    @property
    def by_state(self) -> list[tuple[str, int]]:
        return [(state.value, self.counts[state.value]) for state in StepState if self.counts.get(state.value)]


@dataclass(frozen=True)
class ShownStep:
    """A step as its row shows it: what it waits for, its run where it has a single one, and what can be done."""

    step: WorkflowStep
    run: JobRun | None
    actions: list[Action]

    @property
    def waits_for(self) -> list[tuple[str, str]]:
        """(step, what is waited for in it) in words."""
        words = {FAILURE: _("its failure"), END: _("its end")}
        return [(name, words.get(wanted, "")) for name, wanted in self.step.after]

    @property
    def needs_any(self) -> bool:
        return self.step.needs == ANY and len(self.step.after) > 1

    @property
    def conditions(self) -> list[str]:
        return [references.in_words(condition) for condition in self.step.when]

    @property
    def anchor(self) -> str:
        return _anchor(self.step)


class WorkflowAdmin(ConsoleAdmin):
    """Workflows: how far each is, what has stalled, what each step waits for."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/", self.workflow_page, "change", False),
            ("<int:pk>/<slug:name>/", self.action_page, "act", True),
            ("<int:pk>/step/<int:step>/<slug:name>/", self.step_page, "act_on_step", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = {name: text for name in ("state", "name") if (text := request.GET.get(name, "").strip()[:200])}
        page = page_asked(_rows(asked), request.GET)
        rows = _shown(page.rows)
        return self.page(
            request,
            "workflows.html",
            title=_("Workflows"),
            asked=asked,
            page=page,
            rows=rows,
            is_live=any(each.is_open for each in rows),
            states=_state_counts(),
        )

    def workflow_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        workflow = _workflow(pk)
        steps = _steps(workflow, request)
        (shown,) = _shown([workflow])
        run_of = _single_runs(steps.shown)
        return self.page(
            request,
            "workflow.html",
            title=_("Workflow %(number)s") % {"number": workflow.pk},
            workflow=workflow,
            shown=shown,
            drawing=drawing(steps.shown, _addresses(steps.shown, run_of)) if steps.is_all else None,
            steps=[
                ShownStep(step, run_of.get(step.run), acting.offered(request, STEP_ACTIONS, step))
                for step in steps.shown
            ],
            selection=steps,
            callbacks=callbacks_of(workflow, _EVENTS),
            has_parent=workflow.parent and JobRun.objects.filter(pk=workflow.parent).exists(),
            actions=acting.offered(request, ACTIONS, workflow),
            may_act=access.may(request, access.WORKFLOWS),
            audit_entries=audit_log.latest(request, *_targets(workflow, steps.shown)),
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: _workflow(pk),
            target=f"workflow {pk}",
            back=_address(pk),
            template="workflow_act.html",
            shown=lambda workflow: {"workflow": workflow, "counts": _shown([workflow])[0].by_state},
        )

    def step_page(self, request: HttpRequest, pk: int, step: int, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            STEP_ACTIONS.get(name),
            lambda: _step(pk, step),
            target=_target(pk, WorkflowStep.objects.filter(pk=key_or_none(str(step), int)).only("name").first()),
            back=_address(pk),
            template="workflow_act.html",
            shown=lambda found: {"workflow": found.workflow, "step": found, "after_it": _after_it(found)},
        )


@dataclass(frozen=True)
class StepSelection:
    """The steps that a page shows: all of them, or so many from a place on, perhaps of one state."""

    shown: list[WorkflowStep]
    is_all: bool
    state: str = ""
    next_place: int | None = None


def _rows(asked: Mapping[str, str]) -> QuerySet[Workflow]:
    rows = Workflow.objects.all()
    if state := asked.get("state"):
        rows = (
            rows.filter(stalled_at__isnull=False, state=WorkflowState.RUNNING)
            if state == STALLED
            else rows.filter(state=state)
        )
    return rows.filter(name__icontains=asked["name"]) if "name" in asked else rows


def _shown(found: Sequence[Workflow]) -> list[Shown]:
    """Workflows with their counts of steps, in one query for any number of them."""
    counted = WorkflowStep.objects.filter(workflow__in=[workflow.pk for workflow in found]).order_by()
    shown = {workflow.pk: Shown(workflow) for workflow in found}
    for pk, state, count in counted.values_list("workflow", "state").annotate(Count("pk")):
        shown[pk].counts[state] = count
    return list(shown.values())


def _workflow(pk: int) -> Workflow:
    return get_object_or_404(Workflow, pk=key_or_none(str(pk), int))


def _step(workflow: int, pk: int) -> WorkflowStep:
    rows = WorkflowStep.objects.select_related("workflow", "batch").filter(workflow=key_or_none(str(workflow), int))
    return get_object_or_404(rows, pk=key_or_none(str(pk), int))


def _steps(workflow: Workflow, request: HttpRequest) -> StepSelection:
    state = request.GET.get("state", "")
    first = key_or_none(request.GET.get("from"), int) or 0
    rows = workflow.steps.select_related("batch").order_by("place").filter(place__gte=first)
    if state in StepState.values:
        rows = rows.filter(state=state)
    found = list(rows[: SHOWN_STEPS + 1])
    for step in found:
        # Its row is here already.
        step.workflow = workflow
    is_narrowed = bool(first) or state in StepState.values
    return StepSelection(
        found[:SHOWN_STEPS],
        is_all=not is_narrowed and len(found) <= DRAWN_STEPS,
        state=state,
        next_place=found[SHOWN_STEPS].place if len(found) > SHOWN_STEPS else None,
    )


def _single_runs(steps: Sequence[WorkflowStep]) -> dict[uuid.UUID | None, JobRun]:
    """By its key, the run of each step that has a single one. One that was pruned is missing."""
    rows = JobRun.objects.only("pk", "state", "result")
    return dict(rows.in_bulk([step.run for step in steps if step.run and step.size == 1]))


def _addresses(steps: Sequence[WorkflowStep], run_of: Mapping[uuid.UUID | None, JobRun]) -> dict[int, str]:
    """Where a step's box leads: to its run, to its runs where there are many, else to its row in the table."""
    return {step.pk: _step_address(step, run_of.get(step.run)) for step in steps}


def _step_address(step: WorkflowStep, run: JobRun | None) -> str:
    if run is not None:
        return reverse("admin:jobs_jobrun_change", args=[run.pk])
    if step.batch_id:
        return reverse("admin:jobs_batch_change", args=[step.batch_id])
    return f"#{_anchor(step)}"


def _anchor(step: WorkflowStep) -> str:
    return f"jobs-step-{step.pk}"


def _address(pk: int) -> str:
    return reverse("admin:jobs_workflow_change", args=[pk])


def _target(pk: int, step: WorkflowStep | None) -> str:
    """What the audit calls a step."""
    return f"workflow {pk} {step.name}" if step else f"workflow {pk}"


def _targets(workflow: Workflow, steps: Sequence[WorkflowStep]) -> Iterator[str]:
    """What the audit calls the workflow and these steps."""
    yield f"workflow {workflow.pk}"
    for step in steps:
        yield _target(workflow.pk, step)


def _after_it(step: WorkflowStep) -> list[str]:
    """The steps that come after this one, however far."""
    rows = WorkflowStep.objects.filter(workflow=step.workflow_id).order_by("place").values_list("name", "after")
    nodes = [Node(name, [(before, wanted) for before, wanted in after]) for name, after in rows]
    return [name for name in downstream(nodes, [step.name]) if name != step.name]


def _state_counts() -> list[Counted]:
    rows = {state.value: Workflow.objects.filter(state=state) for state in WorkflowState}
    rows[STALLED] = Workflow.objects.filter(state=WorkflowState.RUNNING, stalled_at__isnull=False)
    return counted(rows, on=Workflow.objects.all())
