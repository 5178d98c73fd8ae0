"""Takes runs that have no row out of a queue, to be discarded: those of plain RQ, and those that are not durable."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rq.utils import utcformat

from jobs import conf
from jobs.broker import keys, lua
from jobs.broker.claim import Claim, WorkerId, held_by
from jobs.broker.connection import client, errors_named

# As many as one call looks at in some milliseconds.
_AT_ONCE = 200


def seize(worker: WorkerId, queue: str, *, until: datetime) -> Iterator[Sequence[Claim]]:
    """Runs without a row that wait in a queue and were asked for by then, some at a time, held by the worker.

    Whoever asks for the next ones has settled those before. Raises `BrokerUnavailable`.
    """
    for place, in_lane in _places(queue):
        first, looked = 0, _AT_ONCE
        while looked == _AT_ONCE:
            tokens = [secrets.token_hex(8) for _ in range(_AT_ONCE)]
            who = (worker.id, worker.name, int(conf.get().LEASE * 1000), utcformat(datetime.now(UTC)))
            where = (queue, place, int(in_lane), first, _AT_ONCE, utcformat(until))
            looked, taken = lua.run("seize", [*who, *where, *tokens])
            # What was taken is not in the list any more.
            first += looked - taken
            if taken:
                yield held_by(worker.id)


def _places(queue: str) -> list[tuple[str, bool]]:
    """The lists in which runs of a queue wait, and whether each is a lane."""
    homes = (queue, keys.suspects(queue))
    with errors_named():
        lanes = [
            (lane.decode(errors="replace"), True)
            for home in homes
            if client().type(keys.lanes(home)) == b"zset"
            for lane in client().zrange(keys.lanes(home), 0, -1)
        ]
    return [*((home, False) for home in homes), *lanes]
