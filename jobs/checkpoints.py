"""Where iterating runs keep how far they are: in Redis after each item, in a row now and then.

Redis is exact, and can be lost; the row is seconds old at the most, and stays. Of the two, who has done more is right.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import Error
from django.utils import timezone

from jobs import conf
from jobs.broker import lua
from jobs.broker.claim import Claim
from jobs.models import JobCheckpoint
from jobs.policy import arguments as job_arguments

logger = logging.getLogger(__name__)

# What is repeated at the most when Redis loses its data; each costs a write.
_ROW_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Checkpoint:
    """`items` are done, and `cursor` is what the last of them was yielded with: plain JSON, None at the beginning."""

    items: int = 0
    cursor: Any = None

    def after(self, cursor: Any, *, name: str) -> Checkpoint:
        """The checkpoint when one more item is done. Raises `ArgumentsNotJSON` or `ArgumentsTooLarge`."""
        text = job_arguments.dump({"cursor": cursor}, name=name, limit=conf.get().MAX_ARGUMENT_BYTES)
        return Checkpoint(self.items + 1, json.loads(text)["cursor"])


class Keeper(Protocol):
    """Keeps the checkpoint of one attempt."""

    def load(self) -> Checkpoint:
        """How far the run is. Raises a database error when that cannot be known."""

    def save(self, checkpoint: Checkpoint) -> bool:
        """Keep it; False when the run is another attempt's by now. Raises `BrokerUnavailable`."""

    def flush(self) -> None:
        """Keep what was saved also where it outlives Redis. Never raises."""


class StoredKeeper:
    """See the module."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._latest = self._in_row = Checkpoint()
        self._row_at = time.monotonic()

    def load(self) -> Checkpoint:
        stored = [_read(self._claim.fields.get("checkpoint", ""))]
        if self._has_row:
            rows = JobCheckpoint.objects.filter(pk=UUID(self._claim.run_id)).values_list("items", "cursor")
            stored += [Checkpoint(items, cursor) for items, cursor in rows]
        self._latest = self._in_row = max(stored, key=lambda checkpoint: checkpoint.items)
        return self._latest

    def save(self, checkpoint: Checkpoint) -> bool:
        text = json.dumps([checkpoint.items, checkpoint.cursor], separators=(",", ":"))
        self._latest = checkpoint
        held = bool(lua.run("keep", [self._claim.run_id, self._claim.claimed_ms, "checkpoint", text]))
        if held and time.monotonic() - self._row_at > _ROW_EVERY_SECONDS:
            self.flush()
        return held

    def flush(self) -> None:
        if not self._has_row or self._latest.items <= self._in_row.items:
            return
        self._row_at = time.monotonic()
        try:
            _write(UUID(self._claim.run_id), self._latest)
        # Redis has it too, so the job goes on.
        except Error:
            facts = {"job": self._claim.name, "run": self._claim.run_id}
            logger.warning("how far %s is cannot be written for now", self._claim.name, extra=facts, exc_info=True)
            return
        self._in_row = self._latest

    @property
    def _has_row(self) -> bool:
        return self._claim.is_ours and self._claim.durable


class ForgetfulKeeper:
    """For runs that are in no Redis, as in tests: each begins at the beginning."""

    def __init__(self, claim: Claim) -> None:
        pass

    def load(self) -> Checkpoint:
        return Checkpoint()

    def save(self, checkpoint: Checkpoint) -> bool:
        return True

    def flush(self) -> None:
        pass


def _read(text: str) -> Checkpoint:
    """What Redis has; the beginning where that is nothing, or damaged."""
    try:
        items, cursor = json.loads(text)
        return Checkpoint(max(0, int(items)), cursor)
    except (ValueError, TypeError, RecursionError):
        return Checkpoint()


def _write(run_id: UUID, checkpoint: Checkpoint) -> None:
    facts = {"items": checkpoint.items, "cursor": checkpoint.cursor, "saved_at": timezone.now()}
    # An attempt that was robbed may come late, and has done less.
    if not JobCheckpoint.objects.filter(pk=run_id, items__lt=checkpoint.items).update(**facts):
        JobCheckpoint.objects.bulk_create([JobCheckpoint(run_id=run_id, **facts)], ignore_conflicts=True)
