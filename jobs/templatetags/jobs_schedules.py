"""How the console writes schedules: times by their own clock, how they stand, and what became of their due times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from jobs.models.schedules import Missed, Overlap, Schedule, ScheduleTick, TickState
from jobs.policy.cron_words import DueTime
from jobs.policy.spans import in_words
from jobs.schedules.standing import Standing
from jobs.templatetags.jobs_console import length, relative
from jobs.templatetags.jobs_states import shaped

register = template.Library()

# A shape beside the word, so that nothing is told by its colour alone; the look is that of a run's state.
_STANDINGS = {
    Standing.ON: ("✓", "succeeded", gettext_lazy("on")),
    Standing.PAUSED: ("‖", "retrying", gettext_lazy("paused")),
    Standing.LATE: ("!", "dead", gettext_lazy("did not start")),
    Standing.OVERDUE: ("!", "dead", gettext_lazy("not looked at")),
    Standing.FAILED: ("✕", "dead", gettext_lazy("could not be asked")),
    Standing.OVER: ("—", "discarded", gettext_lazy("never due again")),
}
_TICKS = {
    TickState.ASKED: ("→", "scheduled"),
    TickState.WAITING: ("…", "scheduled"),
    TickState.SKIPPED: ("—", "discarded"),
    TickState.MISSED: ("◌", "retrying"),
    TickState.FAILED: ("✕", "dead"),
}
TERMS = {
    "job": gettext_lazy("Job"),
    "expression": gettext_lazy("Expression"),
    "timezone": gettext_lazy("Time zone"),
    "queue": gettext_lazy("Queue"),
    "arguments": gettext_lazy("Arguments"),
    "missed": gettext_lazy("Missed times"),
    "most_missed": gettext_lazy("Missed, at the most"),
    "grace": gettext_lazy("Grace"),
    "overlap": gettext_lazy("Overlap"),
    "most_waiting": gettext_lazy("Waiting, at the most"),
    "jitter": gettext_lazy("Jitter"),
    "late_after": gettext_lazy("Late after"),
    "on_late": gettext_lazy("When late, tell"),
}
_SECONDS = ("grace", "jitter", "late_after")
_ACTIONS = {
    "add": pgettext_lazy("of a schedule", "added"),
    "edit": pgettext_lazy("of a schedule", "edited"),
    "revert": pgettext_lazy("of a schedule", "reverted"),
    "follow": pgettext_lazy("of a schedule", "followed the code"),
}


@register.simple_tag
def zoned(at: datetime | None, zone: str, *, ago: bool = True) -> SafeString | str:
    """A time by the clock of a zone, UTC in the title, with how long ago it is."""
    if at is None:
        return "—"
    local = at.astimezone(_zone(zone))
    shown = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    written = format_html(
        '<time datetime="{}" title="{}">{} {} {}</time>',
        local.isoformat(),
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        formats.date_format(local, "D j M" if local.year == timezone.localtime().year else "D j M Y"),
        shown,
        local.tzname() or "",
    )
    return format_html('{} <span class="jobs-ago">{}</span>', written, relative(at)) if ago else written


@register.simple_tag
def clock_note(due: DueTime) -> SafeString | str:
    """What the clock on the wall does about a due time."""
    notes = [
        *([_("the clock was set %(change)s") % {"change": _set_by(due.change)}] if due.change else []),
        *([_("the clock leaps over the time that is said: it runs right after")] if due.is_leapt else []),
        *([_("the clock shows this time twice: it runs the first time")] if due.is_twice else []),
    ]
    return format_html('<span class="jobs-clock">{}</span>', "; ".join(notes)) if notes else ""


@register.simple_tag
def standing(value: Standing) -> SafeString:
    """How a schedule stands, with a shape beside the word."""
    shape, look, word = _STANDINGS[value]
    return shaped(f"jobs-state-{look}", shape, word)


@register.simple_tag
def tick_state(tick: ScheduleTick) -> SafeString:
    """What became of a due time, with a shape beside the word."""
    shape, look = _TICKS[TickState(tick.state)]
    return shaped(f"jobs-state-{look}", shape, tick.get_state_display())


@register.filter
def term_name(name: str) -> str:
    """What a term is called."""
    return str(TERMS.get(name, name))


@register.filter
def edit_action(action: str) -> str:
    """What somebody did with a schedule's terms."""
    return str(_ACTIONS.get(action, action))


@register.filter
def term_value(value: Any, name: str) -> str:
    """A term's value as people read it."""
    if name in _SECONDS and isinstance(value, int | float):
        return in_words(value)
    if value is None or value in ("", {}):
        return "—"
    if isinstance(value, dict | list):
        return Truncator(json.dumps(value, ensure_ascii=False)).chars(300)
    return str(value)


@register.simple_tag
def missed_rule(schedule: Schedule) -> str:
    """What becomes of due times that passed while no worker looked."""
    return {
        Missed.SKIP: _("run none older than %(grace)s") % {"grace": in_words(schedule.grace)},
        Missed.ONCE: _("run the latest"),
        Missed.ALL: _("run each of the latest %(most)d") % {"most": schedule.most_missed},
    }[Missed(schedule.missed)]


@register.simple_tag
def overlap_rule(schedule: Schedule) -> str:
    """What becomes of a due time while a run of the schedule is pending."""
    return {
        Overlap.ALLOW: _("may overlap"),
        Overlap.SKIP: _("skip while one runs"),
        Overlap.QUEUE: _("up to %(most)d wait for the one before") % {"most": schedule.most_waiting},
    }[Overlap(schedule.overlap)]


@register.simple_tag
def missed_choice(value: str) -> str:
    """A choice of what becomes of missed times, in words."""
    return {
        Missed.SKIP: _("skip: run none that is older than its grace"),
        Missed.ONCE: _("once: run the latest of them"),
        Missed.ALL: _("all: run each of the latest"),
    }[Missed(value)]


@register.simple_tag
def overlap_choice(value: str) -> str:
    """A choice of what becomes of overlaps, in words."""
    return {
        Overlap.ALLOW: _("allow: run beside it"),
        Overlap.SKIP: _("skip: leave the due time out"),
        Overlap.QUEUE: _("queue: wait until it has ended"),
    }[Overlap(value)]


@register.simple_tag
def field_state(form: Any, name: str) -> SafeString | str:
    """The attributes of a field that has problems: what it is described by."""
    if not form.problems.get(name):
        return ""
    return format_html(' aria-invalid="true" aria-describedby="jobs-problem-{}"', name)


@register.simple_tag
def field_problems(form: Any, name: str) -> SafeString | str:
    """What is wrong with a field."""
    texts = form.problems.get(name) or []
    if not texts:
        return ""
    return format_html('<p class="jobs-problem" id="jobs-problem-{}">{}</p>', name, " ".join(texts))


@register.filter
def seconds(value: float | None) -> str:
    """`90` as `1 min 30 s`."""
    return "—" if value is None else in_words(value)


def _set_by(change: timedelta) -> str:
    if change > timedelta(0):
        return _("forward %(length)s") % {"length": length(change)}
    return _("back %(length)s") % {"length": length(-change)}


def _zone(name: str) -> Any:
    """The zone of this name; UTC where this system has none such."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC
