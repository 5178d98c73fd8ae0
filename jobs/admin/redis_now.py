"""Whether Redis answers, for pages that go on without it. Asks at the most each few seconds where it does not."""

from __future__ import annotations

import time

from jobs.broker import inspect
from jobs.errors import BrokerUnavailable

# Each question to a server that is away takes as long as a connection may.
_NOT_ASKED_SECONDS = 5.0
_away_until = 0.0


def answers() -> bool:
    """Whether Redis answers now, or did not a moment ago."""
    global _away_until
    if time.monotonic() < _away_until:
        return False
    try:
        inspect.ping()
    except BrokerUnavailable:
        _away_until = time.monotonic() + _NOT_ASKED_SECONDS
        return False
    return True
