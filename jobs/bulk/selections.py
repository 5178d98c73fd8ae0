"""Which rows a bulk action means, and what is done with some of them. It decides no order and no pace."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from jobs import clearing, dead, discards, pending
from jobs.models import BulkAction, DeadJob, JobRun
from jobs.models.bulk import BulkVerb
from jobs.models.dead import Resolution
from jobs.policy.tally import Tally


@dataclass(frozen=True)
class Selection:
    """A filter that is frozen when it is asked with.

    `words` are what `dead.matching` takes. `keys`, if not None, are the only rows meant; runs are always meant by them.
    `told` says how these were found, for the audit and for people.
    """

    words: dict[str, Any] = field(default_factory=dict)
    keys: tuple[Any, ...] | None = None
    told: dict[str, Any] = field(default_factory=dict)

    def stored(self, *, now: datetime) -> dict[str, Any]:
        """As JSON: an age becomes the time that it means now."""
        words = {name: value for name, value in self.words.items() if value is not None}
        if isinstance(age := words.pop("older_than", None), timedelta):
            words["died_before"] = (now - age).isoformat()
        stored: dict[str, Any] = {"words": words} | ({"told": self.told} if self.told else {})
        if self.keys is not None:
            stored["keys"] = [str(key) if isinstance(key, uuid.UUID) else key for key in self.keys]
        return stored


@dataclass(frozen=True)
class Kind:
    """What a verb is done with: the rows that a stored selection means, and their newest key."""

    rows: Callable[[dict[str, Any]], QuerySet[Any]]
    newest: Callable[[], Any]
    key: Callable[[str], Any]
    act: Callable[[BulkAction, list[Any], dict[str, Any]], Tally]


def rows(action: BulkAction) -> QuerySet[Any]:
    """The rows that an action has not come to yet, in its order."""
    kind = KINDS[BulkVerb(action.verb)]
    ahead = kind.rows(action.selection).filter(pk__lte=kind.key(action.up_to)).order_by("pk")
    return ahead.filter(pk__gt=kind.key(action.cursor)) if action.cursor else ahead


def newest(verb: BulkVerb) -> str:
    """The key of the newest row that the verb could mean now."""
    return str(KINDS[verb].newest())


def told_of(action: BulkAction) -> dict[str, Any]:
    """What was asked for, as it is told to people."""
    return {**action.selection.get("words", {}), **action.selection.get("told", {})}


def act(action: BulkAction, keys: list[Any]) -> Tally:
    """Do it with these, in the transaction that is open."""
    told = {"bulk action": action.pk, **told_of(action)}
    words = {"actor": action.actor, "reason": action.reason, "address": action.address, "filter": told}
    return KINDS[BulkVerb(action.verb)].act(action, keys, words)


def _dead_rows(stored: dict[str, Any]) -> QuerySet[Any]:
    words = dict(stored.get("words", {}))
    before = words.pop("died_before", None)
    found = dead.matching(**words)
    if before:
        found = found.filter(died_at__lt=datetime.fromisoformat(before))
    if (keys := stored.get("keys")) is not None:
        found = found.filter(pk__in=keys)
    return found


def _discarded_rows(stored: dict[str, Any]) -> QuerySet[Any]:
    found = discards.undoable(**stored.get("words", {}))
    keys = stored.get("keys")
    return found if keys is None else found.filter(pk__in=keys)


def _run_rows(stored: dict[str, Any]) -> QuerySet[Any]:
    return pending.matching([uuid.UUID(key) for key in stored.get("keys", [])])


def _queued_rows(stored: dict[str, Any]) -> QuerySet[Any]:
    return clearing.waiting(stored["words"]["queue"])


def _newest_dead() -> int:
    return DeadJob.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _newest_run() -> uuid.UUID:
    return JobRun.objects.order_by("-pk").values_list("pk", flat=True).first() or uuid.UUID(int=0)


def _requeue(action: BulkAction, keys: list[int], words: dict[str, Any]) -> Tally:
    return dead.resolve(keys, Resolution.REQUEUED, bulk=action.pk, **words)


def _discard(action: BulkAction, keys: list[int], words: dict[str, Any]) -> Tally:
    return dead.resolve(keys, Resolution.DISCARDED, bulk=action.pk, **words)


def _undo(action: BulkAction, keys: list[int], words: dict[str, Any]) -> Tally:
    return discards.undo_many(keys, **words)


def _cancel(action: BulkAction, keys: list[uuid.UUID], words: dict[str, Any]) -> Tally:
    return pending.cancel_all(keys, **words)


def _clear(action: BulkAction, keys: list[uuid.UUID], words: dict[str, Any]) -> Tally:
    return clearing.discard_all(keys, bulk=action.pk, **words)


def _run_now(action: BulkAction, keys: list[uuid.UUID], words: dict[str, Any]) -> Tally:
    return pending.run_all_now(keys, **words)


KINDS = {
    BulkVerb.REQUEUE: Kind(_dead_rows, _newest_dead, int, _requeue),
    BulkVerb.DISCARD: Kind(_dead_rows, _newest_dead, int, _discard),
    BulkVerb.CANCEL: Kind(_run_rows, _newest_run, uuid.UUID, _cancel),
    BulkVerb.RUN_NOW: Kind(_run_rows, _newest_run, uuid.UUID, _run_now),
    BulkVerb.CLEAR: Kind(_queued_rows, _newest_run, uuid.UUID, _clear),
    BulkVerb.UNDO: Kind(_discarded_rows, _newest_dead, int, _undo),
}
