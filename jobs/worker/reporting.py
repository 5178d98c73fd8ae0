"""How far runs say they are.

1. The job reports, and the reporter notes it in the attempt's claim: nothing is sent, so nothing can fail.
2. Once a second the child sends what was noted since, of all its runs, in one round trip. `Telling`
3. The settle takes the latest note along, to the run's hash where it goes on, and to the journal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from jobs.broker import progress as broker
from jobs.broker.claim import Claim
from jobs.errors import BrokerUnavailable
from jobs.policy import progress, redaction
from jobs.policy.progress import Pace, Progress
from jobs.policy.retry import Done, Verdict

logger = logging.getLogger(__name__)

# Where a claim has it: from an earlier attempt when it is fresh, and then the latest of this one.
FIELD = "progress"
_TOLD_EVERY_SECONDS = 1.0


class Reporter:
    """The progress of one attempt. It never goes back behind what an earlier attempt reported, unless that is asked."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        earlier = progress.read(claim.fields.get(FIELD))
        self._least = earlier.done if earlier is not None else 0.0
        self._pace = Pace()
        self._message = self._shown = ""
        # A job may report from several threads of its own.
        self._lock = threading.Lock()

    def report(self, done: float, total: float | None, message: str, *, unit: str, anew: bool) -> None:
        """Note it. Raises `BadOptions`."""
        progress.check(done, total, message, unit)
        with self._lock:
            if anew:
                self._least = 0.0
            self._pace.note(done, at=time.monotonic())
            # While it catches up, it does not get on at the rate at which it goes.
            rate = self._pace.rate if done >= self._least else None
            self._least = max(self._least, done)
            said = Progress(self._least, total, self._masked(message), unit[: progress.LONGEST_UNIT], rate, _now())
            self._claim.fields[FIELD] = said.dump()

    def _masked(self, message: str) -> str:
        if message != self._message:
            self._message, self._shown = message, redaction.mask_text(message)[: progress.LONGEST_MESSAGE]
        return self._shown


class Telling:
    """Tells Redis what the runs of one child have noted. For the child's loop alone."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._next_at = 0.0

    def tell(self, claims: Iterable[Claim]) -> None:
        """Send what these runs have noted since it was last sent. What cannot be sent now is sent later."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _TOLD_EVERY_SECONDS
        noted = {claim.token: (claim, claim.fields[FIELD]) for claim in claims if FIELD in claim.fields}
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


def kept(claim: Claim, verdict: Verdict) -> dict[str, str | int | bytes]:
    """What the hash of a run that goes on, or may be revived, is to say of how far it is."""
    text = claim.fields.get(FIELD)
    return {FIELD: text} if text and not isinstance(verdict, Done) else {}


def _now() -> float:
    return round(time.time(), 3)
