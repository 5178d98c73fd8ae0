"""The copy of the pauses that claims read. Knows no rows; `jobs.queues` does."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from jobs.broker import keys
from jobs.broker.connection import client, errors_named

logger = logging.getLogger(__name__)

# Of a pause that ends when somebody ends it.
NO_END = 0


def publish(pauses: Mapping[str, int]) -> None:
    """Pause these queues until then, in milliseconds, or with `NO_END`. Raises `BrokerUnavailable`."""
    if pauses:
        with errors_named():
            client().hset(keys.PAUSED, mapping=dict(pauses))


def forget(queues: Iterable[str]) -> None:
    """Let these queues go on. Raises `BrokerUnavailable`."""
    if names := list(queues):
        with errors_named():
            client().hdel(keys.PAUSED, *names)


def published() -> dict[str, int]:
    """The pauses that claims read. Raises `BrokerUnavailable`."""
    with errors_named():
        if client().type(keys.PAUSED) not in (b"hash", b"none"):
            logger.error("%s is in use for something else, so no pause works; rename or delete that key", keys.PAUSED)
            return {}
        found = client().hgetall(keys.PAUSED)
    # What is damaged is told anew.
    return {queue.decode(errors="replace"): int(until) if until.isdigit() else -1 for queue, until in found.items()}
