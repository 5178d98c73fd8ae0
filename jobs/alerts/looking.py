"""What people and pages see of incidents. Changes nothing, and asks Redis nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet, Subquery
from django.utils import timezone

from jobs.alerts import choices
from jobs.models import AlertCheck, Incident

# The same as the rule "silence" says where nobody changed it: after so long, a check that does not come is an incident.
SILENT_AFTER = timedelta(minutes=5)
MOST_SHOWN = 20


@dataclass(frozen=True)
class Checks:
    """When the rules were last looked at. `is_silent`: that was too long ago, or never."""

    last: datetime | None
    by: str
    is_silent: bool
    problems: dict[str, str]


def open_incidents() -> list[Incident]:
    """The incidents that are open, latest first, in two queries at the most.

    Where they were looked at and nobody does any more, the first says so: it has no row, and its `pk` is None.
    """
    since = AlertCheck.objects.values("checked_at")[:1]
    found = list(unclosed().annotate(checked_at=Subquery(since))[:MOST_SHOWN])
    last = found[0].checked_at if found else last_evaluation()
    there: list[Incident] = [*found]
    return [silence(last), *there] if last and _is_silent(last) else there


def unclosed() -> QuerySet[Incident]:
    """The incidents that are open, latest first."""
    return Incident.objects.filter(closed_at__isnull=True).order_by("-pk")


def last_evaluation() -> datetime | None:
    """When the rules were last looked at; None where they never were."""
    return AlertCheck.objects.values_list("checked_at", flat=True).first()


def is_silent(now: datetime | None = None) -> bool:
    """Whether nobody looks at the rules any more: whatever goes wrong, nobody is told."""
    return _is_silent(last_evaluation(), now)


def checks() -> Checks:
    """What is to be said of the last look."""
    row = AlertCheck.objects.first()
    if row is None:
        return Checks(None, "", True, {})
    return Checks(row.checked_at, row.checked_by, _is_silent(row.checked_at), row.problems)


def silence(last: datetime) -> Incident:
    """The incident that nobody looks at the rules. It is not stored: nobody is there to do that."""
    seconds = (timezone.now() - last).total_seconds()
    limit = SILENT_AFTER.total_seconds()
    return Incident(kind="silence", severity="critical", value=seconds, worst=seconds, limit=limit, opened_at=last)


def _is_silent(last: datetime | None, now: datetime | None = None) -> bool:
    if not choices.get().on:
        return False
    return last is None or (now or timezone.now()) - last > SILENT_AFTER
