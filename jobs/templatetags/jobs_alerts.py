"""How the console writes incidents and rules of alerts."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from jobs.alerts import wording
from jobs.models import Incident, IncidentNotice
from jobs.models.alerts import Severity
from jobs.models.runs import RunState
from jobs.policy.alert_rules import Rule, text_of
from jobs.templatetags.jobs_states import shaped

register = template.Library()

_SHAPES = {Severity.CRITICAL: ("✕", RunState.DEAD), Severity.WARNING: ("!", RunState.RETRYING)}


@register.filter
def severity(value: str) -> SafeString:
    """How bad it is, with a shape beside the word."""
    known = Severity(value)
    shape, look = _SHAPES[known]
    return shaped(f"jobs-state-{look.value}", shape, known.label)


@register.filter
def headline(incident: Incident) -> str:
    """What is wrong, with its number against the limit."""
    return wording.headline(incident)


@register.filter
def what_is_wrong(incident: Incident) -> str:
    """What is wrong, without numbers."""
    return wording.title(incident)


@register.filter
def against_limit(incident: Incident) -> str:
    """`1,204 of 1,000`; a dash for what is so or not."""
    if not (limit := wording.limit(incident)):
        return "—"
    return _("%(value)s, limit %(limit)s") % {"value": wording.value(incident), "limit": limit}


@register.filter
def at_its_worst(incident: Incident) -> str:
    """How bad it was; a dash for what is so or not."""
    return wording.worst(incident) or "—"


@register.filter
def cure(incident: Incident) -> str:
    """What to do about it."""
    return wording.cure(incident)


@register.filter
def cure_path(incident: Incident) -> str:
    """The page on which it can be mended."""
    return wording.cure_path(incident)


@register.filter
def incident_path(incident: Incident) -> str:
    """The incident's page; that of all for the one that nobody looks."""
    return wording.path_of(incident)


@register.filter
def rule_name(kind: str) -> str | Promise:
    """What a rule looks at."""
    return wording.name(kind)


@register.filter
def rule_text(rule: Rule) -> str:
    """How settings and commands write a rule."""
    return text_of(rule.kind, rule.scope)


@register.filter
def limit_of(rule: Rule) -> str:
    """A rule's limit with its unit; a dash where it has none."""
    return wording.quantity(rule.kind, rule.limit) or "—"


@register.filter
def seconds_long(seconds: float) -> str:
    """A length of time; a dash for none."""
    return wording.duration(seconds) if seconds else "—"


@register.filter
def notice_state(notice: IncidentNotice) -> SafeString:
    """Whether somebody was told, with a shape beside the words."""
    if notice.sent_at:
        return shaped("jobs-state-succeeded", "✓", _("sent"))
    if notice.try_at is None:
        return shaped("jobs-state-dead", "✕", _("not sent"))
    if notice.error:
        return shaped("jobs-state-retrying", "↻", _("tried again"))
    return shaped("jobs-state-queued", "…", _("to be sent"))
