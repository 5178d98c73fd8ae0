"""Notices: made with the change of which they tell, claimed before they are sent, and marked after that.

A crash between claim and mark leaves it open whether the message went out. It is sent again once the claim has ended:
two messages do less harm than none, and both carry the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from jobs.alerts import choices
from jobs.models import Incident, IncidentNotice
from jobs.models.alerts import NoticeKind
from jobs.policy.backoff import exponential

# Longer than any channel may take.
HELD = timedelta(minutes=2)
GIVE_UP_AFTER = timedelta(hours=24)
# What is due together is told in one message.
MOST_TOGETHER = 50
# How long all ways to tell people may fail before the heartbeat stops: then somebody outside has to tell them.
MUTE_AFTER = timedelta(minutes=10)
_retry_wait = exponential(first=5.0, cap=600.0)
# Nobody is told by what is only written down.
_WRITTEN = ("log",)


def make(incident: Incident, kind: NoticeKind, now: datetime) -> None:
    """One notice for each channel, in the transaction of the change."""
    IncidentNotice.objects.bulk_create(
        IncidentNotice(
            incident=incident, channel=channel, kind=kind, number=incident.times_told, made_at=now, try_at=now
        )
        for channel in choices.get().channels
    )


def drop(incident: Incident) -> None:
    """Try no more what has not been sent: something newer is to be told."""
    IncidentNotice.objects.filter(incident=incident, try_at__isnull=False).update(try_at=None)


def claim(channel: str, *, most: int = MOST_TOGETHER) -> list[IncidentNotice]:
    """The notices that are due for a channel, for this process to send; nobody else sends them meanwhile."""
    now = timezone.now()
    due = IncidentNotice.objects.filter(channel=channel, try_at__lte=now).select_related("incident").order_by("pk")
    return [row for row in due[:most] if _claim(row, now)]


def _claim(row: IncidentNotice, now: datetime) -> bool:
    same = IncidentNotice.objects.filter(pk=row.pk, try_at=row.try_at)
    return bool(same.update(try_at=now + HELD, attempts=F("attempts") + 1))


def mark_sent(rows: Sequence[IncidentNotice]) -> None:
    """The channel took them."""
    keys = [row.pk for row in rows]
    IncidentNotice.objects.filter(pk__in=keys).update(sent_at=timezone.now(), try_at=None, error="")


def mark_failed(rows: Sequence[IncidentNotice], why: str) -> None:
    """The channel did not take them: they are tried again later, for a day."""
    now = timezone.now()
    for row in rows:
        again = now + timedelta(seconds=_retry_wait(row.attempts + 1))
        row.error = why[:500]
        same = IncidentNotice.objects.filter(pk=row.pk, sent_at__isnull=True)
        same.update(error=row.error)
        # One that was dropped meanwhile stays so.
        over = now - row.made_at > GIVE_UP_AFTER
        same.filter(try_at__isnull=False).update(try_at=None if over else again)


def seconds_until_due() -> float | None:
    """When the next notice is to be sent; None where there is none."""
    there = IncidentNotice.objects.filter(try_at__isnull=False, channel__in=choices.get().channels)
    first = there.order_by("try_at").values_list("try_at", flat=True).first()
    return None if first is None else max(0.0, (first - timezone.now()).total_seconds())


def is_mute() -> bool:
    """Whether something is to be told, and no channel that reaches people has taken it for too long."""
    since = timezone.now() - MUTE_AFTER
    people = IncidentNotice.objects.exclude(channel__in=_WRITTEN)
    waiting = people.filter(try_at__isnull=False, attempts__gt=0, made_at__lt=since).order_by()
    keys = set(waiting.values_list("incident", "kind", "number")[:MOST_TOGETHER])
    if not keys:
        return False
    sent = people.filter(incident__in={key[0] for key in keys}, sent_at__isnull=False)
    return bool(keys - set(sent.values_list("incident", "kind", "number")))
