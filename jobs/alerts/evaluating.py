"""One look at all rules, by one process at a time, and what follows of it, stored in one transaction.

1. The turn is taken by moving `AlertCheck.due_at`; who dies with it is followed by another one after `HELD`.
2. Everything is read, outside of any transaction: that takes as long as it takes.
3. What follows is stored under a lock of the row, if the turn is still the same. Notices are made there, and not sent.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from jobs.alerts import choices, notices, observing
from jobs.alerts.observing import Look
from jobs.models import AlertCheck, Incident
from jobs.models.alerts import NoticeKind
from jobs.policy.alert_rules import KINDS, Key, key_of, text_of
from jobs.policy.alerting import Closing, Decision, Keeping, Open, Opening, decide
from jobs.signals import queue_unhealthy

logger = logging.getLogger(__name__)

# Longer than any look takes: by then who had the turn is dead or lost.
HELD = timedelta(minutes=2)
_ROW = 1
# In a deploy another process may know the rule.
_UNKNOWN_KEPT = timedelta(hours=1)


def look(*, by: str) -> bool:
    """Look at all rules if it is time, and nobody else does. Returns whether this call did.

    Raises the database's errors.
    """
    now = timezone.now()
    turn = secrets.token_hex(8)
    if not _take(turn, now):
        return False
    row, started = AlertCheck.objects.get(pk=_ROW), time.monotonic()
    seen = observing.observe(now, row.notes, row.checked_at)
    with transaction.atomic(using=router.db_for_write(AlertCheck)):
        held = AlertCheck.objects.select_for_update().filter(pk=_ROW, turn=turn).first()
        if held is None:
            logger.warning("what alert rules found is not stored: somebody else has looked meanwhile")
            return False
        decision = _decide(seen, _passed(held), now)
        _store(decision, now)
        _note(held, seen, decision, by=by, now=now)
        held.took_ms = round((time.monotonic() - started) * 1000)
        held.save()
    return True


def seconds_until_due() -> float:
    """When to look next, at the latest after the time between two looks."""
    every = choices.get().every
    due_at = AlertCheck.objects.values_list("due_at", flat=True).first()
    return min(every, max(0.0, (due_at - timezone.now()).total_seconds())) if due_at else 0.0


def _take(turn: str, now: datetime) -> bool:
    AlertCheck.objects.get_or_create(pk=_ROW, defaults={"due_at": now})
    mine = {"turn": turn, "due_at": now + HELD}
    if AlertCheck.objects.filter(pk=_ROW, due_at__lte=now).update(**mine):
        return True
    # The clock was set back since: nobody has a turn that far ahead.
    furthest = now + HELD + timedelta(seconds=choices.get().every)
    return bool(AlertCheck.objects.filter(pk=_ROW, due_at__gt=furthest).update(**mine))


def _decide(seen: Look, passed: dict[Key, datetime], now: datetime) -> Decision:
    there = Incident.objects.filter(closed_at__isnull=True, kind__in=KINDS)
    remind = timedelta(hours=choices.get().remind_hours)
    return decide(seen.readings, choices.book(), [_open(one) for one in there], passed=passed, now=now, remind=remind)


def _open(row: Incident) -> Open:
    return Open(
        row.kind,
        row.scope,
        row.value,
        row.worst,
        calm=row.calm,
        told_at=row.told_at,
        is_acknowledged=row.acknowledged_at is not None,
        silenced_until=row.silenced_until,
    )


def _store(decision: Decision, now: datetime) -> None:
    _end_unknown(now)
    for opening in decision.opens:
        _begin(opening, now)
    followed: list[Keeping | Closing] = [*decision.keeps, *decision.closes]
    rows = _rows([each.incident for each in followed])
    for keeping in decision.keeps:
        _go_on(rows[keeping.incident.key], keeping, now)
    for closing in decision.closes:
        _end(rows[closing.incident.key], closing, now)


def _rows(incidents: Iterable[Open]) -> dict[Key, Incident]:
    wanted = {one.key for one in incidents}
    found = Incident.objects.filter(closed_at__isnull=True) if wanted else Incident.objects.none()
    return {(row.kind, row.scope): row for row in found}


def _begin(opening: Opening, now: datetime) -> None:
    rule, reading = opening.rule, opening.reading
    row = Incident.objects.create(
        kind=rule.kind,
        scope=rule.scope,
        severity=rule.severity,
        value=reading.value,
        worst=reading.value,
        limit=rule.limit,
        detail=reading.words[:500],
        opened_at=opening.since,
        seen_at=now,
    )
    logger.info("incident %d opened: %s", row.pk, row.rule, extra={"incident": row.pk, "rule": row.rule})
    if opening.tell:
        _tell(row, NoticeKind.OPENED, now)
    if KINDS[rule.kind].of == "queue":
        transaction.on_commit(lambda: _tell_listeners(row), using=router.db_for_write(Incident))


def _tell_listeners(row: Incident) -> None:
    queue_unhealthy.send_robust(row.scope, incident=row)


def _go_on(row: Incident, keeping: Keeping, now: datetime) -> None:
    row.worst, row.calm, row.limit = keeping.worst, keeping.calm, keeping.rule.limit
    row.severity = keeping.rule.severity
    if keeping.reading is not None:
        row.value, row.detail, row.seen_at = keeping.reading.value, keeping.reading.words[:500], now
    elif keeping.calm:
        row.value = 0.0
    row.save(update_fields=["worst", "calm", "limit", "severity", "value", "detail", "seen_at"])
    if keeping.tell:
        _tell(row, NoticeKind(keeping.tell), now)


def _end(row: Incident, closing: Closing, now: datetime) -> None:
    row.closed_at, row.closed_why = now, closing.why[:200]
    row.save(update_fields=["closed_at", "closed_why"])
    logger.info("incident %d closed: %s", row.pk, row.rule, extra={"incident": row.pk, "rule": row.rule})
    notices.drop(row)
    if closing.tells:
        notices.make(row, NoticeKind.CLOSED, now)


def _end_unknown(now: datetime) -> None:
    """Close what other code opened and nobody follows any more, as after a roll back."""
    unknown = Incident.objects.filter(closed_at__isnull=True, seen_at__lt=now - _UNKNOWN_KEPT).exclude(kind__in=KINDS)
    unknown.update(closed_at=now, closed_why="no code that runs knows its rule")


def _tell(row: Incident, kind: NoticeKind, now: datetime) -> None:
    notices.drop(row)
    notices.make(row, kind, now)
    row.told_at, row.times_told = now, row.times_told + 1
    row.save(update_fields=["told_at", "times_told"])


def _note(row: AlertCheck, seen: Look, decision: Decision, *, by: str, now: datetime) -> None:
    row.checked_at, row.checked_by = now, by[:200]
    row.due_at = now + timedelta(seconds=choices.get().every)
    row.problems = dict(seen.problems)
    if decision.left_out:
        row.problems["too many"] = f"{decision.left_out} more incidents are not opened"
    passed = {text_of(*key): since.isoformat() for key, since in decision.passed.items()}
    row.notes = {**row.notes, **seen.notes, "passed": passed}


def _passed(row: AlertCheck) -> dict[Key, datetime]:
    found: dict[Key, datetime] = {}
    for text, since in row.notes.get("passed", {}).items():
        try:
            found[key_of(text)] = datetime.fromisoformat(since)
        except ValueError:
            # Of a rule that this code does not know.
            continue
    return found
