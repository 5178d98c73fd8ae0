"""What people do with incidents and rules of alerts, and what a form says of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import alerts
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.moments import moment_to_come
from jobs.models import AlertRule, Incident
from jobs.policy.ages import parse_age
from jobs.policy.alert_rules import KINDS, Rule, text_of


def _is_silenced(thing: Any) -> bool:
    return thing.silenced_until is not None and thing.silenced_until > timezone.now()


def _is_open(incident: Incident) -> bool:
    return incident.closed_at is None


OF_INCIDENT = acting.named(
    Action(
        name="acknowledge",
        recorded="acknowledge_incident",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("Acknowledge"),
        verb=alerts.acknowledge,
        done=gettext_lazy("Acknowledged: no reminder of it comes any more."),
        fits=lambda incident: _is_open(incident) and incident.acknowledged_at is None,
    ),
    Action(
        name="silence",
        recorded="silence_incident",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("Silence…"),
        verb=alerts.silence,
        done=gettext_lazy("Silenced: nobody is told of it until then."),
        question=gettext_lazy("Silence this incident?"),
        consequence=gettext_lazy("Nobody is told of it until then. If it is still open after that, people are."),
        button=gettext_lazy("Silence it"),
        fits=lambda incident: _is_open(incident) and not _is_silenced(incident),
    ),
    Action(
        name="unsilence",
        recorded="unsilence_incident",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("End its silence"),
        verb=partial(alerts.silence, until=None),
        done=gettext_lazy("People are told of it again."),
        fits=lambda incident: _is_open(incident) and _is_silenced(incident),
    ),
)


@dataclass(frozen=True)
class ShownRule:
    """A rule as people see it: as it is in force, as the code says it, and what people changed."""

    rule: Rule
    code: Rule
    row: AlertRule | None

    @property
    def silenced_until(self) -> Any:
        return self.rule.silenced_until

    @property
    def is_silenced(self) -> bool:
        return _is_silenced(self.rule)

    @property
    def is_edited(self) -> bool:
        return self.row is not None

    @property
    def has_limit(self) -> bool:
        return KINDS[self.rule.kind].unit != "fact"

    @property
    def unit(self) -> str:
        return KINDS[self.rule.kind].unit

    @property
    def target(self) -> str:
        """What the audit calls it."""
        return f"alert rule {text_of(self.rule.kind, self.rule.scope)}"


def _verb(verb: Any) -> Any:
    """A verb of a rule, as an action calls it."""

    def called(shown: ShownRule, **words: Any) -> None:
        verb(shown.rule.kind, shown.rule.scope, **words)

    return called


OF_RULE = acting.named(
    Action(
        name="edit",
        recorded="edit_alert_rule",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("Edit"),
        verb=_verb(alerts.edit_rule),
        done=gettext_lazy("Saved: it holds from the next look on."),
        question=gettext_lazy("Edit this rule"),
        button=gettext_lazy("Save"),
    ),
    Action(
        name="silence",
        recorded="silence_alert_rule",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("Silence"),
        verb=_verb(alerts.silence_rule),
        done=gettext_lazy("Silenced: nobody is told of its incidents until then."),
        fits=lambda shown: not shown.is_silenced,
    ),
    Action(
        name="unsilence",
        recorded="unsilence_alert_rule",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("End its silence"),
        verb=_verb(partial(alerts.silence_rule, until=None)),
        done=gettext_lazy("People are told of its incidents again."),
        fits=lambda shown: shown.is_silenced,
    ),
    Action(
        name="revert",
        recorded="revert_alert_rule",
        permission=access.MANAGE_ALERTS,
        label=gettext_lazy("Revert to the code"),
        verb=_verb(alerts.revert_rule),
        done=gettext_lazy("Reverted: it says what the code says."),
        fits=lambda shown: shown.is_edited,
    ),
)


def rules() -> list[ShownRule]:
    """All rules, in one query: those for all of a kind, each followed by those for one of it."""
    rows = {(row.kind, row.scope): row for row in AlertRule.objects.all()}
    book, code = alerts.book_of(rows.values()), alerts.code()
    return [ShownRule(rule, code.of(rule.kind, rule.scope), rows.get((rule.kind, rule.scope))) for rule in book.all()]


def rule(kind: str, scope: str) -> ShownRule:
    """One rule as it is."""
    row = AlertRule.objects.filter(kind=kind, scope=scope).first()
    return ShownRule(alerts.book().of(kind, scope), alerts.code().of(kind, scope), row)


def given_to_incident(name: str, sent: Mapping[str, str]) -> dict[str, Any]:
    """What a form says beside the reason. Raises ValueError."""
    return {"until": _until(sent)} if name == "silence" else {}


def given_to_rule(name: str, sent: Mapping[str, str]) -> dict[str, Any]:
    """What a form says beside the reason. Raises ValueError."""
    if name == "silence":
        return {"until": _until(sent)}
    if name != "edit":
        return {}
    said: dict[str, Any] = {"severity": sent.get("severity") or None, "is_on": sent.get("is_on") == "yes"}
    if text := sent.get("limit", "").strip():
        said["limit"] = _number(text)
    if text := sent.get("for", "").strip():
        said["for_seconds"] = 0.0 if text == "0" else parse_age(text[:40]).total_seconds()
    return said


def _until(sent: Mapping[str, str]) -> Any:
    until = moment_to_come(sent.get("until", "").strip(), timezone.get_default_timezone_name())
    if until is None:
        raise ValueError(_("Say for how long, such as 2h, or until when."))
    return until


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "").replace("%", "")[:20])
    except ValueError as error:
        raise ValueError(_('"%(text)s" is no number.') % {"text": text[:20]}) from error
