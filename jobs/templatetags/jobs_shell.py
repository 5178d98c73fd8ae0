"""What the shell around every page writes: where its counts lead, and times of today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.models import RunState
from jobs.templatetags.jobs_console import length

register = template.Library()


@register.simple_tag
def state_address(state: str) -> str:
    """The list that a count by state counts."""
    if state == RunState.DEAD:
        return reverse("admin:jobs_deadjob_changelist")
    return f"{reverse('admin:jobs_jobrun_changelist')}?state={state}"


@register.filter
def clock(at: datetime) -> SafeString:
    """A time of today: `12:03:10`, UTC in the title."""
    local = timezone.localtime(at)
    utc = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}" data-clock>{}</time>', local.isoformat(), utc, f"{local:%H:%M:%S}"
    )


@register.filter
def span(value: timedelta) -> str:
    """A length of time in its two largest units."""
    return length(value)
