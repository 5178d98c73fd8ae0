"""What people do with rules and incidents. Each is written to the audit, with what it was and what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from jobs import audit, conf
from jobs.alerts import choices, notices
from jobs.errors import BadAlert, did_you_mean
from jobs.models import AlertRule, Incident
from jobs.policy.alert_choices import problem_with
from jobs.policy.alert_rules import KINDS, LONGEST_SCOPE, Change, Rule, text_of


def edit_rule(
    kind: str,
    scope: str = "",
    *,
    limit: float | None = None,
    for_seconds: float | None = None,
    severity: str | None = None,
    is_on: bool | None = None,
    actor: str,
    reason: str = "",
    address: str = "",
) -> None:
    """Let a rule say this instead of what it says: what is not given stays as it is. Raises `BadAlert`.

    What is as the code says follows the code.
    """
    change = Change(limit, for_seconds, severity, is_on)
    _check(kind, scope)
    _check_queue(kind, scope)
    if problem := problem_with(kind, change):
        raise BadAlert(f"{problem[0].upper()}{problem[1:]}.")

    def edited(now: Change) -> Change:
        wanted = replace(now, **{name: value for name, value in asdict(change).items() if value is not None})
        return _without_codes(kind, scope, wanted)

    _change(kind, scope, edited, "edit_alert_rule", actor=actor, reason=reason, address=address)


def silence_rule(
    kind: str, scope: str = "", *, until: datetime | None, actor: str, reason: str = "", address: str = ""
) -> None:
    """Tell nobody of a rule's incidents until then; None ends that. Raises `BadAlert`."""
    _check(kind, scope)
    _check_queue(kind, scope)
    _check_until(until)
    action = "silence_alert_rule" if until else "unsilence_alert_rule"

    def silenced(now: Change) -> Change:
        return replace(now, silenced_until=until)

    _change(kind, scope, silenced, action, actor=actor, reason=reason, address=address)


def revert_rule(kind: str, scope: str = "", *, actor: str, reason: str = "", address: str = "") -> None:
    """Let a rule be as the code says, and not be silenced. Raises `BadAlert` where it is."""
    _check(kind, scope)
    if not AlertRule.objects.filter(kind=kind, scope=scope).exists():
        raise BadAlert(f"The rule {text_of(kind, scope)} is as the code says already.")
    _change(kind, scope, lambda now: Change(), "revert_alert_rule", actor=actor, reason=reason, address=address)


def acknowledge(incident: Incident, *, actor: str, reason: str = "", address: str = "") -> None:
    """Say that somebody sees to it: no reminder comes any more. Raises `BadAlert` where it is over, or seen to."""
    with transaction.atomic(using=router.db_for_write(Incident)):
        row = _lock(incident)
        if row.acknowledged_at is not None:
            raise BadAlert(f"{row.acknowledged_by} has acknowledged the incident {row.pk} already.")
        row.acknowledged_at, row.acknowledged_by = timezone.now(), actor[:200]
        row.save(update_fields=["acknowledged_at", "acknowledged_by"])
        notices.drop(row)
        _record("acknowledge_incident", str(row), actor, reason, address, after={"rule": row.rule})


def silence(incident: Incident, *, until: datetime | None, actor: str, reason: str = "", address: str = "") -> None:
    """Tell nobody of an incident until then; None ends that. Raises `BadAlert` where it is over."""
    _check_until(until)
    with transaction.atomic(using=router.db_for_write(Incident)):
        row = _lock(incident)
        before, row.silenced_until = row.silenced_until, until
        row.save(update_fields=["silenced_until"])
        if until is not None:
            notices.drop(row)
        action = "silence_incident" if until else "unsilence_incident"
        facts = {"before": {"silenced_until": _text(before)}, "after": {"silenced_until": _text(until)}}
        _record(action, str(row), actor, reason, address, **facts)


def _change(
    kind: str, scope: str, changed: Callable[[Change], Change], action: str, *, actor: str, reason: str, address: str
) -> None:
    """Change what a row says, or remove one that says nothing any more."""
    with transaction.atomic(using=router.db_for_write(AlertRule)):
        there = AlertRule.objects.select_for_update().filter(kind=kind, scope=scope).first()
        before = choices.book().of(kind, scope)
        change = changed(choices.change_of(there) if there else Change())
        rows = AlertRule.objects.filter(kind=kind, scope=scope)
        if change.is_any:
            facts = {**asdict(change), "severity": change.severity or "", "edited_at": timezone.now()}
            rows.update_or_create(kind=kind, scope=scope, defaults={**facts, "edited_by": actor[:200]})
        else:
            rows.delete()
        after = choices.book().of(kind, scope)
        target = f"alert rule {text_of(kind, scope)}"
        _record(action, target, actor, reason, address, before=_facts(before), after=_facts(after))


def _without_codes(kind: str, scope: str, wanted: Change) -> Change:
    """Without what would be so anyway."""
    rows = AlertRule.objects.exclude(kind=kind, scope=scope)
    others = replace(choices.code(), layers=(*choices.code().layers, choices.edits(rows)))
    anyway = asdict(others.of(kind, scope))
    said = {name: None if value == anyway[name] else value for name, value in asdict(wanted).items()}
    return Change(**said)


def _check(kind: str, scope: str) -> None:
    if kind not in KINDS:
        raise BadAlert(f'There is no rule "{kind}". There are {", ".join(KINDS)}.')
    if scope and not KINDS[kind].of:
        raise BadAlert(f'The rule "{kind}" looks at one thing only, and not at "{scope}".')
    if len(scope) > LONGEST_SCOPE or scope != scope.strip():
        raise BadAlert(f'"{scope[:50]}" is no name.')


def _check_queue(kind: str, scope: str) -> None:
    """A misspelt queue would be silenced, and the one that was meant goes on to be told."""
    known = conf.queue_names()
    if scope and KINDS[kind].of == "queue" and scope not in known:
        raise BadAlert(f'There is no queue "{scope}".{did_you_mean(scope, known)} There are {", ".join(known)}.')


def _check_until(until: datetime | None) -> None:
    if until is not None and until <= timezone.now():
        raise BadAlert("A silence ends in the future. Give a later time.")


def _lock(incident: Incident) -> Incident:
    row = Incident.objects.select_for_update().filter(pk=incident.pk, closed_at__isnull=True).first()
    if row is None:
        raise BadAlert(f"The incident {incident.pk} is over.")
    return row


def _record(action: str, target: str, actor: str, reason: str, address: str, **facts: Any) -> None:
    audit.record(actor=actor, action=action, target=target, reason=reason, address=address, **facts)


def _facts(rule: Rule) -> dict[str, Any]:
    facts = asdict(rule)
    return {**facts, "silenced_until": _text(rule.silenced_until)}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
