"""How the console writes the states of things: in words, with a shape beside them."""

from __future__ import annotations

from django import template
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.models import BulkAction, FailureCause, Fuse, RunState
from jobs.models.batches import BatchState
from jobs.models.bulk import BulkState
from jobs.models.causes import CauseState
from jobs.models.fuses import FuseAction
from jobs.models.markers import Marker
from jobs.models.workflows import StepState, WorkflowState
from jobs.templatetags.jobs_console import length, relative

register = template.Library()

# A shape beside the word, so that no state is told by its colour alone.
_SHAPES = {
    RunState.SCHEDULED: "◷",
    RunState.QUEUED: "…",
    RunState.RUNNING: "▶",
    RunState.RETRYING: "↻",
    RunState.SUCCEEDED: "✓",
    RunState.DEAD: "✕",
    RunState.DISCARDED: "—",
    RunState.CANCELLED: "⊘",
}
_CAUSE_SHAPES = {
    CauseState.NEW: "●",
    CauseState.REGRESSED: "↺",
    CauseState.SNOOZED: "◷",
    CauseState.IGNORED: "—",
    CauseState.RESOLVED: "✓",
}
_BULK_SHAPES = {
    BulkState.ASKED: "…",
    BulkState.CANARY: "◔",
    BulkState.RAMPING: "▶",
    BulkState.PAUSED: "‖",
    BulkState.STOPPED: "✕",
    BulkState.FINISHED: "✓",
}
# With the look of the run's state that it is like.
_BATCH_SHAPES = {
    BatchState.FILLING: ("◔", RunState.RUNNING),
    BatchState.RUNNING: ("▶", RunState.RUNNING),
    BatchState.SUCCEEDED: ("✓", RunState.SUCCEEDED),
    BatchState.FAILED: ("✕", RunState.DEAD),
    BatchState.CANCELLED: ("⊘", RunState.CANCELLED),
}
_WORKFLOW_SHAPES: dict[str, tuple[str, RunState, str | Promise]] = {
    WorkflowState.RUNNING: ("▶", RunState.RUNNING, WorkflowState.RUNNING.label),
    WorkflowState.SUCCEEDED: ("✓", RunState.SUCCEEDED, WorkflowState.SUCCEEDED.label),
    WorkflowState.FAILED: ("✕", RunState.DEAD, WorkflowState.FAILED.label),
    WorkflowState.CANCELLED: ("⊘", RunState.CANCELLED, WorkflowState.CANCELLED.label),
    "stalled": ("!", RunState.RETRYING, gettext_lazy("stalled")),
}
_STEP_SHAPES = {
    StepState.WAITING: "…",
    StepState.RUNNING: "▶",
    StepState.SUCCEEDED: "✓",
    StepState.FAILED: "✕",
    StepState.SKIPPED: "—",
    StepState.BLOCKED: "■",
    StepState.CANCELLED: "⊘",
}
_FUSE_SHAPES = {FuseAction.HOLD: "‖", FuseAction.SLOW: "◔", FuseAction.DISCARD: "—"}
_PHASES = {
    "closed": ("✓", gettext_lazy("closed")),
    "open": ("✕", gettext_lazy("open")),
    "half-open": ("◔", gettext_lazy("half-open")),
}


@register.filter
def state(value: str) -> SafeString:
    """A state in words, with its shape and colour."""
    known = RunState(value)
    return shaped(f"jobs-state-{known.value}", _SHAPES[known], known.label)


def shaped(look: str, shape: str, words: object) -> SafeString:
    """A state as all of them are written: words, with a shape beside them."""
    return format_html('<span class="jobs-state {}"><span aria-hidden="true">{}</span> {}</span>', look, shape, words)


@register.simple_tag
def bulk_state(action: BulkAction) -> SafeString:
    """Where a bulk action is, with a shape beside it."""
    state = BulkState(action.state)
    return shaped(f"jobs-bulk-{state.value}", _BULK_SHAPES[state], state.label)


@register.simple_tag
def batch_state(value: str) -> SafeString:
    """Where a batch is, with a shape beside it."""
    state = BatchState(value)
    shape, look = _BATCH_SHAPES[state]
    return shaped(f"jobs-state-{look.value}", shape, state.label)


@register.simple_tag
def workflow_state(value: str) -> SafeString:
    """Where a workflow is, or that it has stalled, with a shape beside it."""
    shape, look, word = _WORKFLOW_SHAPES[value]
    return shaped(f"jobs-state-{look.value}", shape, word)


@register.simple_tag
def step_state(value: str) -> SafeString:
    """Where a step of a workflow is, with a shape beside it."""
    state = StepState(value)
    return shaped(f"jobs-step-{state.value}", _STEP_SHAPES[state], state.label)


@register.simple_tag
def step_shape(value: str) -> str:
    """The shape that stands beside the state of a step."""
    return _STEP_SHAPES[StepState(value)]


@register.simple_tag
def phase(value: str) -> SafeString:
    """A circuit's phase, with a shape beside the word."""
    shape, word = _PHASES[value]
    return shaped(f"jobs-phase-{value}", shape, word)


@register.filter
def marker_state(marker: Marker) -> SafeString:
    """The state of an effect's or e-mail's marker in words, with its shape and colour."""
    if marker.is_in_doubt(timezone.now()):
        look, shape, words = "retrying", "?", _("in doubt")
    elif not marker.is_done:
        look, shape, words = "running", "▶", _("claimed")
    elif getattr(marker, "problem", ""):
        look, shape, words = "dead", "✕", _("done, result not kept")
    else:
        look, shape, words = "succeeded", "✓", marker.get_state_display()  # type: ignore[attr-defined]
    return shaped(f"jobs-state-{look}", shape, words)


@register.simple_tag
def cause_state(cause: FailureCause) -> SafeString:
    """What people said of a cause, with a shape beside it."""
    until = ""
    if cause.state == CauseState.SNOOZED and cause.snoozed_until:
        until = (
            f" {relative(cause.snoozed_until)}"
            if cause.is_open
            else _(" for %(length)s") % {"length": length(cause.snoozed_until - timezone.now(), parts=1)}
        )
    elif cause.state == CauseState.REGRESSED and cause.regressed_in:
        until = _(" in %(release)s") % {"release": cause.regressed_in}
    state = CauseState(cause.state)
    return shaped(f"jobs-cause-{state.value}", _CAUSE_SHAPES[state], f"{state.label}{until}")


@register.simple_tag
def fuse_state(fuse: Fuse) -> SafeString:
    """A fuse's number and what it does, with a shape beside it."""
    action = FuseAction(fuse.action)
    does = {
        FuseAction.HOLD: _("holds"),
        FuseAction.SLOW: _("slows to %(rate)s") % {"rate": fuse.rate},
        FuseAction.DISCARD: _("discards"),
    }
    look = "cancelled" if fuse.ended_at else "retrying"
    return shaped(f"jobs-state-{look}", _FUSE_SHAPES[action], f"{fuse.pk} · {does[action]}")
