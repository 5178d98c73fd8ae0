"""Whether Redis answers, for pages that go on without it."""

from __future__ import annotations

from jobs.broker import inspect
from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable


def answers() -> bool:
    """Whether Redis answers now; no, where it did not a moment ago."""
    try:
        with impatient():
            inspect.ping()
    except BrokerUnavailable:
        return False
    return True
