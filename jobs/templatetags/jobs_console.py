"""How the console writes times, lengths of time, counts and JSON."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.template.context import RequestContext
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import discards, drafts, registry
from jobs.batches import Progress
from jobs.models import AuditEntry, DeadJob, SavedView
from jobs.policy import causes, redaction
from jobs.policy.rates import rate_in_words
from jobs.retention import kept_until as kept_for_age_until

register = template.Library()

_TREND_HEIGHT = 20
# What the audit names by number and has a page.
_NUMBERED = {
    "batch": "admin:jobs_batch_change",
    "workflow": "admin:jobs_workflow_change",
    "bulk action": "admin:jobs_bulkaction_change",
    "cause": "admin:jobs_failurecause_change",
}
# What it names and has a list, and how the list is asked for it.
_LISTED = {
    "schedule": ("admin:jobs_schedule_changelist", "q"),
    "queue": ("admin:jobs_jobrun_changelist", "queue"),
    "fuse": ("admin:jobs_fuse_changelist", ""),
    "rule": ("admin:jobs_recoveryrule_changelist", ""),
}


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A time, exact to the second, with how long ago it is; UTC in the title."""
    if at is None:
        return "—"
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}" data-local>{} {}</time> <span class="jobs-ago" data-at="{}">{}</span>',
        local.isoformat(),
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        formats.date_format(local, "DATE_FORMAT" if local.year != timezone.localtime().year else "j M"),
        f"{local:%H:%M:%S}",
        local.isoformat(),
        relative(at),
    )


def relative(at: datetime) -> str:
    """`3 min ago`, `in 2 h`: one unit, for the exact time stands beside it."""
    seconds = (timezone.now() - at).total_seconds()
    text = length(timedelta(seconds=abs(seconds)), parts=1)
    return _("%(length)s ago") % {"length": text} if seconds >= 0 else _("in %(length)s") % {"length": text}


@register.filter
def milliseconds(value: int | None) -> str:
    """`812 ms`, `2.3 s`, `1 min 35 s`."""
    if value is None:
        return "—"
    if value < 1000:
        return _("%(count)d ms") % {"count": value}
    if value < 60_000:
        return _("%(count)s s") % {"count": formats.number_format(value / 1000, 1)}
    return length(timedelta(milliseconds=value))


def length(span: timedelta, *, parts: int = 2) -> str:
    """The largest units of a length of time."""
    seconds = int(span.total_seconds())
    units = ((86_400, _("d")), (3600, _("h")), (60, _("min")), (1, _("s")))
    texts: list[str] = []
    for size, unit in units:
        count, seconds = divmod(seconds, size)
        if count or texts:
            texts.append(f"{count} {unit}" if count else "")
    return " ".join(text for text in texts[:parts] if text) or f"0 {_('s')}"


@register.filter
def length_of(span: timedelta) -> str:
    """A length of time in its largest units, with milliseconds where it is short."""
    return milliseconds(round(span.total_seconds() * 1000))


@register.filter
def unlocalized(number: float) -> str:
    """A number as SVG wants it, whatever the reader's language."""
    return f"{number:g}"


@register.simple_tag
def took(began: datetime | None, ended: datetime | None) -> str:
    """How long something took, or has taken so far."""
    if began is None:
        return "—"
    return milliseconds(int(((ended or timezone.now()) - began).total_seconds() * 1000))


@register.simple_tag
def pace_left(progress: Progress) -> str:
    """How fast a batch's members end, and how long the rest takes at that rate: `41/s, about 4 h left`."""
    rate = rate_in_words(progress.rate) if progress.rate else _("none ended in the last minute")
    if progress.seconds_left is None:
        return rate
    left = length(timedelta(seconds=max(1, progress.seconds_left)), parts=1)
    return _("%(rate)s, about %(left)s left") % {"rate": rate, "left": left}


@register.filter
def target_address(target: str) -> str:
    """The page about what an entry of the audit names; empty where it has none."""
    if found := re.match(r"(batch|workflow|bulk action|cause) ([0-9]{1,18})([ :]|$)", target):
        return reverse(_NUMBERED[found[1]], args=[int(found[2])])
    kind, _space, name = target.partition(" ")
    if kind in _LISTED:
        route, field = _LISTED[kind]
        return f"{reverse(route)}?{urlencode({field: name})}" if field else reverse(route)
    return ""


@register.filter
def audit_changes(entry: AuditEntry) -> list[tuple[str, str | None, str | None]]:
    """What an entry says of before and after, by name; None where it says nothing, or that there was nothing."""
    names = dict.fromkeys([*entry.before, *entry.after])
    told = [(name, _short(entry.before, name), _short(entry.after, name)) for name in names]
    return [change for change in told if change[1] != change[2]]


def _short(facts: dict[str, Any], name: str) -> str | None:
    value = facts.get(name)
    if value is None or value == "":
        return None
    return Truncator(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).chars(120)


@register.filter
def view_text(view: SavedView) -> str:
    """What a saved search asks for, as the box has it."""
    return QueryDict(view.query).get("q") or view.query


@register.filter
def of_key(values: dict[Any, Any], key: Any) -> Any:
    """What a dict has for a key."""
    return values.get(key)


@register.filter
def hidden(value: Any, job: str = "") -> Any:
    """JSON with its secrets masked, whatever it is; also those that this job's `sensitive` names."""
    return redaction.mask(value, sensitive=drafts.sensitive_names(registry.find(job)))


@register.filter
def brief(arguments: Any) -> str:
    """Masked arguments in one short line: `order_id=42, card=[redacted]`."""
    if not isinstance(arguments, dict):
        return Truncator(json.dumps(arguments, ensure_ascii=False)).chars(80)
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return Truncator(", ".join(pairs)).chars(80)


@register.filter
def pretty(value: Any) -> str:
    """JSON on several lines, in the order it came."""
    return json.dumps(value, ensure_ascii=False, indent=2)


@register.simple_tag
def fuse_caught(counts: dict[str, int] | None) -> SafeString | str:
    """How many runs a fuse has caught, by queue where there are several."""
    if counts is None:
        return _("unknown")
    total = tally(sum(counts.values()))
    if len(counts) < 2:
        return total
    queues = ", ".join(f"{queue} {tally(count)}" for queue, count in sorted(counts.items()))
    return format_html('{} <span class="jobs-quiet">{}</span>', total, queues)


@register.filter
def trend(hours: dict[str, int]) -> SafeString:
    """The failures of the last 24 hours: how many, and a bar for each hour."""
    now = int(timezone.now().timestamp()) // 3600
    counts = causes.trend(hours, until=now)
    total = sum(counts)
    if not total:
        return format_html('<span class="jobs-quiet">{}</span>', _("none"))
    most = max(counts)
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="3" height="{}"/>',
        ((4 * place, _TREND_HEIGHT - tall, tall) for place, count in enumerate(counts) if (tall := _tall(count, most))),
    )
    text = ngettext("%(count)s in the last 24 h", "%(count)s in the last 24 h", total) % {"count": tally(total)}
    busiest = _("%(most)s in the busiest hour") % {"most": tally(most)}
    return format_html(
        '<span class="jobs-trend"><svg width="96" height="{}" viewBox="0 0 96 {}" fill="currentColor" role="img">'
        "<title>{}, {}</title>{}</svg> {}</span>",
        *(_TREND_HEIGHT, _TREND_HEIGHT, text, busiest, bars, tally(total)),
    )


def _tall(count: int, most: int) -> int:
    """The height of a bar: what is there is seen, however little it is."""
    return -(-_TREND_HEIGHT * count // most)


@register.filter
def undo_until(dead_job: DeadJob) -> datetime | None:
    """Until when the discard of a dead job can be taken back."""
    return discards.undo_until(dead_job)


@register.filter
def kept_until(dead_job: DeadJob) -> datetime:
    """Until when a dead job is kept for its age; one that was brought back has died anew."""
    return kept_for_age_until(dead_job.run.ended_at or dead_job.died_at)


@register.filter
def place(frames: list[str]) -> str:
    """Where a failure was raised: `orders.payments: charge`."""
    return frame(frames[-1]) if frames else ""


@register.filter
def frame(told: str) -> str:
    """`orders.payments: charge` for what a fingerprint calls `orders.payments charge`."""
    module, _space, function = told.partition(" ")
    return f"{module}: {function}"


@register.filter
def of(table: dict[Any, Any] | str | None, key: Any) -> Any:
    """What a table has for a key; nothing where there is no table."""
    return table.get(key) if isinstance(table, dict) else None


@register.filter
def slug_end(key: Any) -> str:
    """The end of an id, by which a person tells it from others."""
    return str(key)[-8:]


@register.filter
def short_class(path: str) -> str:
    """`CardDeclined` for `orders.payments.CardDeclined`."""
    return path.rpartition(".")[2]


@register.simple_tag(takes_context=True)
def with_query(context: RequestContext, **changes: Any) -> str:
    """This page's query string with some of it changed; a value of None takes a key out."""
    query = context["request"].GET.copy()
    for stale in ("older", "newer"):
        query.pop(stale, None)
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}" if query else "?"


@register.simple_tag(takes_context=True)
def without(context: RequestContext, name: str) -> str:
    """This page's query string without one of its keys."""
    return with_query(context, **{name: None})


@register.simple_tag
def tally(count: int, *, more: bool = False) -> str:
    """A count with its thousands apart, and a plus where counting stopped."""
    return formats.number_format(count, force_grouping=True) + ("+" if more else "")


@register.simple_tag
def jobs_count(count: int) -> str:
    """`1 job`, `12 jobs`."""
    return ngettext("%(count)s job", "%(count)s jobs", count) % {
        "count": formats.number_format(count, force_grouping=True)
    }
