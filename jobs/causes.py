"""The verbs for causes of failures: resolve, ignore, snooze, reopen, note; and what is asked of them.

Who fails is counted by the recorder. Commands, the admin and tests call these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils import timezone

from jobs import audit, conf
from jobs.errors import NotDecidable
from jobs.models import DeadJob, FailureCause
from jobs.models.causes import OPEN_CAUSES, CauseState
from jobs.models.pruning import delete_in_chunks
from jobs.policy.redaction import mask_text

# A cause that comes back within a year is known; what people said of it is worth keeping for so long.
KEPT = timedelta(days=365)
LONGEST_SNOOZE = timedelta(days=365)


@dataclass(frozen=True)
class OpenDead:
    """The dead jobs of one cause that nobody has resolved: how many, and when the first and the last died."""

    cause: int | None
    count: int
    first_died_at: datetime
    last_died_at: datetime


def open_dead(among: Iterable[int] | None = None) -> list[OpenDead]:
    """The open dead jobs by cause, the commonest cause first; `among` names causes by their key.

    >>> open_dead(among=[])
    []
    """
    open_ones = DeadJob.objects.filter(resolution="")
    if among is not None:
        open_ones = open_ones.filter(cause__in=list(among))
    counted = (
        open_ones.order_by().values("cause").annotate(count=Count("pk"), first=Min("died_at"), last=Max("died_at"))
    )
    return [
        OpenDead(*row) for row in counted.order_by("-count", "cause").values_list("cause", "count", "first", "last")
    ]


def matching(
    *,
    state: str | None = None,
    name: str | None = None,
    error: str | None = None,
    since: datetime | None = None,
) -> QuerySet[FailureCause]:
    """Causes, the last seen first. `state` is one of a cause's states, or "open" for those that want eyes:
    new, regressed, or snoozed until a time that has passed. `error` is a part of its class, message or place."""
    found = FailureCause.objects.all()
    over = Q(state=CauseState.SNOOZED, snoozed_until__lte=timezone.now())
    if state == "open":
        found = found.filter(Q(state__in=OPEN_CAUSES) | over)
    elif state is not None:
        found = found.filter(state=state)
        if state == CauseState.SNOOZED:
            found = found.exclude(over)
    if name is not None:
        found = found.filter(name=name)
    if error is not None:
        found = found.filter(Q(error_class__icontains=error) | Q(message__icontains=error) | Q(sample__icontains=error))
    if since is not None:
        found = found.filter(last_seen_at__gte=since)
    return found.order_by("-last_seen_at", "-pk")


def resolve(cause: FailureCause, *, actor: str, reason: str = "", address: str = "") -> None:
    """Say that it is mended. Seen again, it has regressed. Raises `NotDecidable` when it was said before."""
    _decide(cause, CauseState.RESOLVED, actor=actor, reason=reason, address=address)


def ignore(cause: FailureCause, *, actor: str, reason: str = "", address: str = "") -> None:
    """Say that nobody needs to look at it. It goes on being counted. Raises `NotDecidable` when it was said before."""
    _decide(cause, CauseState.IGNORED, actor=actor, reason=reason, address=address)


def snooze(cause: FailureCause, until: datetime, *, actor: str, reason: str = "", address: str = "") -> None:
    """Put it away until a time; then it is open again. Raises `NotDecidable` for a time that has passed, or is
    more than a year away."""
    now = timezone.now()
    if not now < until <= now + LONGEST_SNOOZE:
        raise NotDecidable("A cause can be snoozed until a time that is ahead, a year at the most.")
    _decide(cause, CauseState.SNOOZED, actor=actor, reason=reason, address=address, until=until)


def reopen(cause: FailureCause, *, actor: str, reason: str = "", address: str = "") -> None:
    """Take back what was said of it: it is new again. Raises `NotDecidable` when it is."""
    _decide(cause, CauseState.NEW, actor=actor, reason=reason, address=address)


def note(cause: FailureCause, text: str, *, actor: str, address: str = "") -> None:
    """Write a note on it, in place of the one before, which the audit keeps."""
    with transaction.atomic(using=router.db_for_write(FailureCause)):
        row = _locked(cause)
        before, row.note = row.note, mask_text(text.strip())[:500]
        if before == row.note:
            raise NotDecidable("The note says that already.")
        row.save(update_fields=["note"])
        _audit(row, "note", actor=actor, reason="", address=address, before={"note": before}, after={"note": row.note})


def prune() -> int:
    """Delete causes that nobody has met for a year and no dead job has. Returns how many they were."""
    return delete_in_chunks(_prunable())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[FailureCause]:
    kept = max(KEPT, timedelta(days=conf.keep_days()["dead"]))
    return FailureCause.objects.filter(last_seen_at__lt=timezone.now() - kept, burials=None).order_by("last_seen_at")


def _decide(
    cause: FailureCause, state: CauseState, *, actor: str, reason: str, address: str, until: datetime | None = None
) -> None:
    with transaction.atomic(using=router.db_for_write(FailureCause)):
        row = _locked(cause)
        if row.state == state and state != CauseState.SNOOZED:
            raise NotDecidable(f"This cause is {row.get_state_display()} already.")
        before = _told(row)
        row.state, row.snoozed_until = state, until
        row.decided_at, row.decided_by, row.regressed_in = timezone.now(), actor[:200], ""
        row.save(update_fields=["state", "snoozed_until", "decided_at", "decided_by", "regressed_in"])
        _audit(row, _VERBS[state], actor=actor, reason=reason, address=address, before=before, after=_told(row))


_VERBS = {
    CauseState.RESOLVED: "resolve",
    CauseState.IGNORED: "ignore",
    CauseState.SNOOZED: "snooze",
    CauseState.NEW: "reopen",
}


def _locked(cause: FailureCause) -> FailureCause:
    row = FailureCause.objects.select_for_update().filter(pk=cause.pk).first()
    if row is None:
        raise NotDecidable("This cause was removed: nobody had met it for a year.")
    return row


def _told(row: FailureCause) -> dict[str, Any]:
    until = row.snoozed_until.isoformat() if row.snoozed_until else None
    return {"state": str(row.state)} | ({"until": until} if until else {})


def _audit(row: FailureCause, verb: str, **words: Any) -> None:
    audit.record(action=f"{verb} cause", target=target_of(row), **words)


def target_of(cause: FailureCause) -> str:
    """What the audit calls a cause."""
    return f"cause {cause.pk}: {cause}"
