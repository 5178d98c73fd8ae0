"""What the shell around every page writes: the figures of tiles, and times of today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from jobs.templatetags.jobs_console import length, relative, tally

register = template.Library()


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


@register.filter
def ago(at: datetime) -> SafeString:
    """How long ago something was; the script goes on with it."""
    shown = relative(at)
    return format_html('<span class="jobs-ago" data-at="{}">{}</span>', timezone.localtime(at).isoformat(), shown)


@register.simple_tag
def tile_value(tile: Any) -> str:
    """The figure of a tile; what nobody knows reads so."""
    if tile.value is None:
        return _("unknown")
    if not isinstance(tile.value, timedelta):
        return tally(tile.value, more=tile.more)
    if tile.value < timedelta(seconds=1):
        return _("under 1 s") if tile.value else _("none")
    return length(tile.value)
