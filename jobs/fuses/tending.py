"""What the recording process does: Redis has the fuses as their rows say, and what is over is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import conf
from jobs.broker import fuses as copies
from jobs.fuses.operating import EXPIRY, end, entry, tell
from jobs.models import Fuse
from jobs.models.pruning import delete_in_chunks

KEPT = timedelta(days=90)


def tend() -> None:
    """See that Redis has the fuses as their rows say, end those whose time has come, and forget what is over.

    May be repeated, by two at once too. Raises `BrokerUnavailable` or a database error.
    """
    there = copies.published()
    rows = list(Fuse.objects.filter(released_at__isnull=True).order_by("pk"))
    _expire(rows)
    wanted = {fuse.pk: entry(fuse) for fuse in rows}
    strangers = there.keys() - wanted.keys()
    # One that was added since the rows were read is no stranger.
    strangers -= set(Fuse.objects.filter(pk__in=strangers, released_at__isnull=True).values_list("pk", flat=True))
    wanted |= dict.fromkeys(strangers, copies.OVER)
    copies.publish({fuse: text for fuse, text in wanted.items() if there.get(fuse) != text})
    _lift_again([fuse for fuse in rows if fuse.ended_at is None and fuse.pk not in there])
    _forget_released([fuse.pk for fuse in rows if fuse.ended_at is not None], strangers)


def _expire(rows: Iterable[Fuse]) -> None:
    for fuse in rows:
        if fuse.ended_at is None and fuse.expires_at <= timezone.now():
            with transaction.atomic(using=router.db_for_write(Fuse)):
                end(fuse, by=EXPIRY, reason="its time was over")


def _lift_again(rows: Sequence[Fuse]) -> None:
    """Whoever lifted one of these while we told Redis of it had told Redis before us."""
    if rows:
        tell(Fuse.objects.filter(pk__in=[fuse.pk for fuse in rows], ended_at__isnull=False))


def _forget_released(ended: Sequence[int], strangers: Iterable[int]) -> None:
    over = [*ended, *strangers]
    counts = copies.caught(over, conf.queue_names()) if over else {}
    empty = [fuse for fuse in over if not counts[fuse]]
    if empty:
        Fuse.objects.filter(pk__in=empty, ended_at__isnull=False, released_at__isnull=True).update(
            released_at=timezone.now()
        )
        copies.forget(empty)


def prune() -> int:
    """Delete fuses that have been over for 90 days; the audit goes on telling of them. Returns how many they were."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[Fuse]:
    return Fuse.objects.filter(released_at__lt=timezone.now() - KEPT)
