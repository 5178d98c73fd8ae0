"""What RQ's own readers get of a run that plain RQ enqueued, and the calls that write it with the settle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rq.rate_limit import RateLimitRegistry
from rq.utils import utcformat

from jobs.broker import lua
from jobs.broker.claim import WorkerId
from jobs.broker.connection import client, errors_named
from jobs.broker.lua import Call

if TYPE_CHECKING:
    from jobs.broker.settle import Settlement


@dataclass(frozen=True)
class ForeignEnding:
    """`keep_seconds` is how long RQ's readers find it once it has ended, -1 for ever, 0 not at all.

    `result` is an entry of RQ's stream of results, empty for none. `at_front` is where it waits when it runs again.
    `repeats_in_ms` is when a run that ended starts anew, as RQ's `Repeat` wants it, None for never.
    `status` is RQ's word for an end that is neither finished nor failed.
    """

    keep_seconds: int = 0
    result: Mapping[str, str | int | float] = field(default_factory=dict)
    at_front: bool = False
    repeats_in_ms: int | None = None
    status: str = ""


def calls(worker: WorkerId, settlements: Sequence[Settlement], *, only_ended: bool) -> list[Call]:
    """The script calls that settle foreign runs and enqueue what waited for them; the first answers for each run."""
    if not settlements:
        return []
    now = utcformat(datetime.now(UTC))
    arguments: list[Any] = [worker.id, worker.name, int(only_ended), now]
    for item in settlements:
        arguments += _words(item)
    return [("settle_foreign", arguments), ("dependents", ["", now])]


def release_waiting(queues: Sequence[str]) -> int:
    """Enqueue what waits for a job that has ended, though whoever ended it did not come to it. Returns how many.

    Also frees what RQ's rate limits hold for jobs that have ended. Raises `BrokerUnavailable`.
    """
    enqueued: int = lua.run("dependents", ["1", utcformat(datetime.now(UTC)), *queues])
    with errors_named():
        for key in client().smembers(RateLimitRegistry.rl_keys_key):
            RateLimitRegistry(key.decode(errors="replace"), client()).cleanup()
    return enqueued


def _words(item: Settlement) -> list[Any]:
    claim, ending = item.claim, item.foreign or ForeignEnding()
    result = [word for pair in ending.result.items() for word in pair]
    fields = [word for pair in item.fields.items() for word in pair]
    return [
        claim.run_id,
        claim.token,
        claim.queue,
        item.where,
        item.queue or claim.queue,
        int(item.wait_seconds * 1000),
        "1" if ending.at_front else "",
        "" if item.entry is None else json.dumps(item.entry, separators=(",", ":")),
        ending.keep_seconds,
        "" if ending.repeats_in_ms is None else ending.repeats_in_ms,
        ending.status,
        len(result),
        *result,
        len(fields),
        *fields,
    ]
