"""How many bulk actions one person may ask for. Rules and commands have a pace of their own."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from jobs.errors import JobsError
from jobs.models import AuditEntry, BulkAction

# A person who has read what they ask for takes longer; a script, or a stuck key, does not.
PER_MINUTE = 10
_MINUTE = timedelta(minutes=1)
# Of small ones, which are done at once, only the audit tells: among its latest entries.
_LATEST = 1000
_AT_ONCE = ("requeue", "discard", "undo discard")


class TooManyBulk(JobsError):
    """The person has asked for too many lately."""


def check_pace(actor: str) -> None:
    """Raise `TooManyBulk` where this person has asked for `PER_MINUTE` bulk actions within the last minute."""
    since = timezone.now() - _MINUTE
    count = BulkAction.objects.filter(actor=actor[:200], created_at__gt=since).count() + _small_ones(actor, since)
    if count >= PER_MINUTE:
        raise TooManyBulk(
            f"You have asked for {count} bulk actions within a minute, and {PER_MINUTE} are allowed. Wait a minute, "
            "or ask for one that means them all."
        )


def _small_ones(actor: str, since: object) -> int:
    newest = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    latest = AuditEntry.objects.filter(pk__gt=newest - _LATEST, actor=actor[:200], at__gt=since, count__gt=1)
    told = latest.filter(action__in=_AT_ONCE, outcome="done").values_list("filter", flat=True)
    # The chunks of a large one are no actions of their own.
    return sum("bulk action" not in each for each in told)
