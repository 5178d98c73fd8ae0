"""What people do with workflows and their steps: a table of actions for each. The pages are in `workflows`."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import workflows
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.models import Workflow, WorkflowStep
from jobs.models.workflows import Decided, StepState, WorkflowState

_RETRYABLE = (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED)
_SKIPPABLE = (StepState.WAITING, StepState.FAILED, StepState.SKIPPED, StepState.BLOCKED)


def _fits_resuming(workflow: Workflow) -> bool:
    return bool(workflow.cancelled_at or workflow.trouble or workflow.stalled_at)


def _fits_retrying(step: WorkflowStep) -> bool:
    return step.workflow.cancelled_at is None and step.state in _RETRYABLE


def _fits_skipping(step: WorkflowStep) -> bool:
    return step.workflow.cancelled_at is None and step.decided != Decided.PASSED and step.state in _SKIPPABLE


ACTIONS = acting.named(
    Action(
        name="resume",
        recorded="resume workflow",
        permission=access.WORKFLOWS,
        label=gettext_lazy("Resume"),
        verb=workflows.resume,
        done=gettext_lazy("Resumed: it goes on where it was."),
        question=gettext_lazy("Go on with this workflow?"),
        consequence=gettext_lazy(
            "What was cancelled with it begins anew; what stalled or is in trouble is looked at now. "
            "What has succeeded stays."
        ),
        button=gettext_lazy("Resume the workflow"),
        fits=_fits_resuming,
    ),
    Action(
        name="cancel",
        recorded="cancel workflow",
        permission=access.WORKFLOWS,
        label=gettext_lazy("Cancel"),
        verb=workflows.cancel,
        done=gettext_lazy("Cancelled: nothing more of it begins, and what runs is being stopped."),
        question=gettext_lazy("Cancel this workflow?"),
        consequence=gettext_lazy(
            "No further step begins, runs that wait are taken back, and those that run are stopped. "
            "What has been done is not undone. It can be resumed later."
        ),
        button=gettext_lazy("Cancel the workflow"),
        destroys=True,
        fits=lambda workflow: workflow.state == WorkflowState.RUNNING,
    ),
)
STEP_ACTIONS = acting.named(
    Action(
        name="retry",
        recorded="retry step",
        permission=access.WORKFLOWS,
        label=gettext_lazy("Retry from here"),
        verb=lambda step, **who: workflows.retry_from(step.workflow, step.name, **who),
        done=lambda step: _('"%(step)s" is done anew, and what comes after it follows.') % {"step": step.name},
        question=lambda step: _('Retry from "%(step)s"?') % {"step": step.name},
        consequence=gettext_lazy(
            "Its dead runs get a new life, and those that succeeded stay; without dead ones it is done anew, also when "
            "it has succeeded. All that comes after it begins anew when its turn comes."
        ),
        button=gettext_lazy("Retry from this step"),
        wants_why=True,
        fits=_fits_retrying,
    ),
    Action(
        name="skip",
        recorded="skip step",
        permission=access.WORKFLOWS,
        label=gettext_lazy("Skip"),
        verb=lambda step, **who: workflows.skip(step.workflow, step.name, **who),
        done=lambda step: _('"%(step)s" is skipped: those after it go on.') % {"step": step.name},
        question=lambda step: _('Skip "%(step)s"?') % {"step": step.name},
        consequence=gettext_lazy(
            "Its work stays undone, and its dead runs are discarded. Those after it go on as if it had succeeded, and "
            "get nothing for its result."
        ),
        button=gettext_lazy("Skip the step"),
        destroys=True,
        fits=_fits_skipping,
    ),
)
