"""Counts the runs of which the journal does not hear, and tells it of them in one entry every other second.

A run without a row that goes well leaves no entry of its own. Its counts are all that is kept of it; a process that
dies takes those of its last two seconds along.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from jobs.broker import journal
from jobs.broker.settle import Settlement
from jobs.errors import BrokerUnavailable
from jobs.metrics import Minutes

logger = logging.getLogger(__name__)

_TOLD_EVERY_SECONDS = 2.0


class Counting:
    """For one process's loop alone."""

    def __init__(self) -> None:
        self._minutes = Minutes()
        self._next_at = 0.0

    def note(self, settlement: Settlement) -> None:
        """Count an attempt that was settled, if the journal does not hear of it."""
        if settlement.unrecorded is None:
            return
        claim, ended = settlement.claim, settlement.unrecorded
        # Read once: a flood passes here.
        claimed_ms = claim.claimed_ms
        times: dict[str, Any] = {
            "started_ms": claimed_ms,
            "wait_ms": max(0, claimed_ms - (claim.number("ready_ms") or claimed_ms)),
            "ended_ms": claimed_ms + ended.run_ms,
            "run_ms": ended.run_ms,
        }
        if ended.verdict == "done":
            self._minutes.succeeded(claim.name, claim.queue, **times)
            return
        how: dict[str, Any] = {"verdict": ended.verdict, "outcome": ended.outcome, "error_class": ended.error_class}
        self._minutes.settled(claim.name, claim.queue, **times, **how)

    def tell(self, *, at_once: bool = False) -> None:
        """Tell what was counted, if it is time to. What cannot be told now is told later."""
        now = time.monotonic()
        if now < self._next_at and not at_once:
            return
        self._next_at = now + _TOLD_EVERY_SECONDS
        if not (sums := self._minutes.sums()):
            return
        try:
            journal.tell_figures(sums)
        except BrokerUnavailable as error:
            logger.debug("what was counted cannot be told for now: %s", error)
            return
        self._minutes = Minutes()
