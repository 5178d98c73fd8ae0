"""How far runs say they are.

1. The job reports, and the attempt's reporter remembers it: nothing is sent, so nothing can fail.
2. Once a second the child sends what was said since, of all its runs. See `telling`.
3. The settle takes the latest word along, to the run's hash where it goes on, and to the journal.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from jobs.broker.claim import Claim
from jobs.policy import progress, redaction
from jobs.policy.progress import Pace, Progress
from jobs.policy.retry import Done, Verdict

_FIELD = "progress"
_SAMPLE_SECONDS = 1.0
# Of its claim: what is told of an attempt is found by that.
_ATTRIBUTE = "_reporter"


class Reporter:
    """The progress of one attempt. It never goes back behind what an earlier attempt reported, unless that is asked.

    A job may call it for each of a million rows, so what is told once a second is made when it is told.
    """

    def __init__(self, claim: Claim) -> None:
        earlier = progress.read(claim.fields.get(_FIELD))
        self._least = earlier.done if earlier is not None else 0.0
        self._said: tuple[Any, ...] | None = None
        self._pace = Pace()
        self._sample_at = 0.0
        # A job may report from several threads of its own, and the child reads.
        self._lock = threading.Lock()
        # Not a field: the claim is what Redis said.
        claim.__dict__[_ATTRIBUTE] = self

    def report(self, done: float, total: float | None, message: str, *, unit: str, anew: bool) -> None:
        """Remember it. Raises `BadOptions`."""
        progress.check(done, total, message, unit)
        now = time.monotonic()
        with self._lock:
            if anew:
                self._least = 0.0
            if anew or now >= self._sample_at:
                self._pace.note(done, at=now)
                self._sample_at = now + _SAMPLE_SECONDS
            if done > self._least:
                self._least = done
            self._said = (done, total, message, unit, time.time())

    def text(self) -> str | None:
        """What was said last, for Redis and the journal; None for nothing yet."""
        with self._lock:
            if self._said is None:
                return None
            done, total, message, unit, at = self._said
            # While it catches up, it does not get on at the rate at which it goes.
            rate = self._pace.rate if done >= self._least else None
            shown = redaction.mask_text(message)[: progress.LONGEST_MESSAGE]
            return Progress(self._least, total, shown, unit[: progress.LONGEST_UNIT], rate, round(at, 3)).dump()


def said(claim: Claim) -> str | None:
    """What the run of this claim said last, in this attempt or an earlier one."""
    reporter: Reporter | None = claim.__dict__.get(_ATTRIBUTE)
    return (reporter.text() if reporter is not None else None) or claim.fields.get(_FIELD)


def kept(claim: Claim, verdict: Verdict) -> dict[str, str | int | bytes]:
    """What the hash of a run that goes on, or may be revived, is to say of how far it is."""
    text = said(claim)
    return {_FIELD: text} if text and not isinstance(verdict, Done) else {}
