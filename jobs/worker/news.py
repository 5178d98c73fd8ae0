"""Whether the journal has heard why a run waits: thousands of runs that are put off again and again would fill it.

What was told is kept in the run's hash. Of one reason the journal hears once, and again when it has lasted.
"""

from __future__ import annotations

import re
import zlib

from jobs.broker.claim import Claim
from jobs.policy.outcome import DatabaseAway, Outcome, Postponed
from jobs.worker import failures

# A run waits for a database at most 22 s; one that was away a minute ago is away for the second time.
_SAME_OUTAGE_MS = 60_000
# So that the row's due time is not an old one: 50,000 runs that wait bring 83 entries a second.
_TOLD_AGAIN_MS = 600_000


def is_news(claim: Claim, outcome: Outcome) -> bool:
    """Whether the journal is to hear of an attempt that ended so."""
    if isinstance(outcome, DatabaseAway):
        return claim.claimed_ms - claim.number("away_ms") >= _SAME_OUTAGE_MS
    if isinstance(outcome, Postponed):
        told_ms, _, reason = claim.fields.get("put_off", "").partition(" ")
        is_told = reason == _reason(outcome) and told_ms.isdecimal()
        return not (is_told and claim.claimed_ms - int(told_ms) < _TOLD_AGAIN_MS)
    return True


def remembered(claim: Claim, outcome: Outcome, *, told: bool) -> dict[str, str | int | bytes]:
    """What the run's hash is to say of it from now on."""
    fields: dict[str, str | int | bytes] = {}
    if isinstance(outcome, DatabaseAway):
        fields["away_ms"] = claim.claimed_ms
    if isinstance(outcome, Postponed):
        if told:
            fields["put_off"] = f"{claim.claimed_ms} {_reason(outcome)}"
    elif claim.fields.get("put_off"):
        # When it is put off again, that is news.
        fields["put_off"] = ""
    return fields


def _reason(outcome: Postponed) -> str:
    """A short mark of why. Numbers do not count: a reason that names the seconds is the same a second later."""
    words = re.sub(r"\d+", "", failures.message(outcome.error))
    return f"{zlib.crc32(words.encode(errors='replace')):08x}"
