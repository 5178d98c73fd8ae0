"""How figures are written."""

from __future__ import annotations

import math

from django import template
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.figures import Change
from jobs.policy import histogram
from jobs.policy.spans import in_words
from jobs.templatetags.jobs_charts import in_unit
from jobs.templatetags.jobs_console import tally

register = template.Library()

_MINUS, _TIMES, _DIVIDED = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{DIVISION SIGN}"


@register.filter
def within(bound_ms: float | None) -> str:
    """`≤ 128 ms`, `≤ 2.05 s`, `> 1 h 9 min`; a dash where nothing was counted."""
    if bound_ms is None:
        return "—"
    if math.isinf(bound_ms):
        return f"> {in_words((1 << (histogram.BUCKETS - 2)) / 1000)}"
    if bound_ms < 1000:
        return _("≤ %(count)d ms") % {"count": bound_ms}
    if bound_ms < 60_000:
        # Rounded up: it is to hold.
        seconds = math.ceil(bound_ms / 10) / 100 if bound_ms < 10_000 else math.ceil(bound_ms / 100) / 10
        return _("≤ %(count)s s") % {"count": formats.number_format(seconds)}
    return f"≤ {in_words(math.ceil(bound_ms / 1000))}"


@register.filter
def count_of(count: int) -> str:
    """A count with its thousands apart."""
    return tally(count)


@register.filter
def rate(value: float | None) -> str:
    """A part of 1 as per cent; a dash where there is none."""
    return in_unit(None if value is None else value * 100, "per cent")


@register.filter
def changed(change: Change | None) -> str:
    """By how many points more or fewer fail since a release, and what p95 is multiplied or divided by."""
    if change is None or change.failure_rate is None:
        return "—"
    words = []
    if points := round(change.failure_rate * 100, 1):
        number = f"{'+' if points > 0 else _MINUS}{formats.number_format(abs(points))}"
        # In English one is one of many where it has a fraction.
        words.append(
            ngettext("failures %(n)s point", "failures %(n)s points", 1 if abs(points) == 1 else 2) % {"n": number}
        )
    if change.p95_steps:
        times = f"{_TIMES if change.p95_steps > 0 else _DIVIDED}{2 ** abs(change.p95_steps)}"
        words.append(_("p95 %(times)s") % {"times": times})
    return ", ".join(words) or _("as before")


@register.filter
def is_worse(change: Change | None) -> bool:
    """Whether a release made failures clearly more, or runs clearly longer."""
    if change is None or change.failure_rate is None:
        return False
    return change.failure_rate >= 0.01 or (change.p95_steps or 0) > 1
