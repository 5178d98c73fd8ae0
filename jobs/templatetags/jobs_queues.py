"""How the console writes how queues and workers stand."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django import template
from django.urls import reverse
from django.utils import formats
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.broker.fleet import ProcessNow, RunNow
from jobs.policy import forecast as forecasts
from jobs.queues import Standing
from jobs.templatetags.jobs_console import length, tally
from jobs.templatetags.jobs_states import shaped

register = template.Library()

_MB = 2**20
# With the look of the run's state that it is like.
_FORECASTS: dict[str, tuple[str, str, str | Promise]] = {
    forecasts.IDLE: ("cancelled", "✓", gettext_lazy("idle")),
    forecasts.DRAINS: ("running", "▶", gettext_lazy("drains")),
    forecasts.GROWING: ("dead", "↗", gettext_lazy("growing")),
    forecasts.NO_WORKER: ("dead", "✕", gettext_lazy("no live worker")),
    forecasts.PAUSED: ("retrying", "‖", gettext_lazy("paused")),
    forecasts.UNKNOWN: ("cancelled", "?", gettext_lazy("unknown")),
}
_PROCESSES: dict[str, tuple[str, str, str | Promise]] = {
    "busy": ("running", "▶", gettext_lazy("busy")),
    "idle": ("cancelled", "…", gettext_lazy("idle")),
    "suspended": ("retrying", "‖", gettext_lazy("quiet")),
}


@register.simple_tag
def queue_forecast(standing: Standing) -> SafeString:
    """What becomes of a queue, in words with a shape beside them."""
    look, shape, word = _FORECASTS[standing.forecast]
    return shaped(f"jobs-state-{look}", shape, _more(standing) or word)


def _more(standing: Standing) -> str:
    if standing.forecast == forecasts.DRAINS:
        if standing.eta_seconds is None:
            return _("holds its length")
        left = length(timedelta(seconds=max(1.0, standing.eta_seconds)), parts=1)
        return _("empty in about %(left)s") % {"left": left}
    growth = standing.growth_per_minute
    if standing.forecast == forecasts.GROWING and growth is not None:
        return _("growing %(count)s/min") % {"count": tally(round(growth))}
    return ""


@register.filter
def known(count: int | None) -> str:
    """A count, or that nobody knows it."""
    return _("unknown") if count is None else tally(count)


@register.filter
def waited(seconds: float | None) -> str:
    """For how long something has waited, or that nobody knows."""
    if seconds is None:
        return _("unknown")
    return length(timedelta(seconds=seconds)) if seconds >= 1 else "—"


@register.filter
def a_minute(rate: float | None) -> str:
    """A rate: whole numbers from ten on."""
    if rate is None:
        return _("unknown")
    return tally(round(rate)) if rate >= 10 or rate == int(rate) else formats.number_format(rate, 1)


@register.filter
def megabytes(count: int) -> str:
    """Bytes as `62 MB`."""
    return _("%(count)s MB") % {"count": tally(round(count / _MB))} if count else "—"


@register.simple_tag
def process_state(process: ProcessNow, answers: bool) -> SafeString:
    """Whether a process works, in words with a shape beside them; unknown where Redis does not say."""
    if not answers:
        return shaped("jobs-state-cancelled", "?", _("unknown"))
    if process.is_stale:
        return shaped("jobs-state-dead", "✕", _("stale: its lease has ended"))
    look, shape, word = _PROCESSES.get(process.state, ("cancelled", "?", process.state or _("unknown")))
    return shaped(f"jobs-state-{look}", shape, word)


@register.simple_tag
def run_address(run: RunNow) -> str:
    """The page of a run that a process holds; a search for it where plain RQ gave it its id."""
    try:
        return reverse("admin:jobs_jobrun_change", args=[uuid.UUID(run.run_id)])
    except ValueError:
        return f"{reverse('admin:jobs_jobrun_changelist')}?{urlencode({'q': run.run_id})}"
