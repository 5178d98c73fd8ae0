"""Tells Redis how far the runs of one child say they are, all together and once a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from jobs.broker import progress as broker
from jobs.errors import BrokerUnavailable
from jobs.worker.reporting import said
from jobs.worker.threads import Running

logger = logging.getLogger(__name__)

_TOLD_EVERY_SECONDS = 1.0


class Telling:
    """Knows what was told of each. For the child's loop alone."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._next_at = 0.0

    def tell(self, at_work: Callable[[], Iterable[Running]]) -> None:
        """Send what these runs have noted since it was last sent. What cannot be sent now is sent later."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _TOLD_EVERY_SECONDS
        spoken = [(running.claim, said(running.claim)) for running in at_work()]
        noted = {claim.token: (claim, text) for claim, text in spoken if text}
        self._told = {token: text for token, text in self._told.items() if token in noted}
        fresh = [(claim, text) for token, (claim, text) in noted.items() if self._told.get(token) != text]
        if not fresh:
            return
        try:
            broker.tell(fresh)
        except BrokerUnavailable as error:
            logger.debug("how far %d runs are cannot be told for now: %s", len(fresh), error)
            return
        self._told.update({claim.token: text for claim, text in fresh})
