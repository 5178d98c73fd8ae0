"""What a run that stands in a lane waits for. Looks only, and needs no database."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobs import registry
from jobs.broker import keys
from jobs.broker.connection import client, errors_named

# Who stands further back is told so; to count all would go through a long lane.
_COUNTED_AHEAD = 1000


@dataclass(frozen=True)
class LimitNow:
    """A limit as one run meets it: `used` of `most` are taken; `seconds` is the window's length, None for at once.

    `most` is 0 where no job here has this limit any more.
    """

    name: str
    used: int
    most: int
    seconds: float | None

    @property
    def is_full(self) -> bool:
        return self.most > 0 and self.used >= self.most


@dataclass(frozen=True)
class LaneNow:
    """Where a run stands: how many are ahead of it in its lane, None for a thousand or more, and by what it is limited.

    `limits` is empty in a lane that is no limit's.
    """

    name: str
    ahead: int | None
    limits: list[LimitNow]


def lane_of(run_id: str) -> LaneNow | None:
    """The lane in which a run waits, None where it waits in none. Raises `BrokerUnavailable`."""
    with errors_named():
        told = client().hget(keys.job(run_id), "lane") if client().type(keys.job(run_id)) == b"hash" else None
    return None if told is None else _lane_now(run_id, told.decode(errors="replace"))


def _lane_now(run_id: str, lane: str) -> LaneNow | None:
    numbers = json.loads(registry.limit_numbers() or "{}")
    counted = lane.split("\t")[2:]
    with errors_named():
        ahead = None
        if client().type(keys.lane(lane)) == b"list":
            ahead = client().lpos(keys.lane(lane), run_id, maxlen=_COUNTED_AHEAD)
        seconds, microseconds = client().time()
        now = seconds * 1_000_000 + microseconds
        return LaneNow(lane, ahead, [_limit_now(key, numbers, now) for key in counted])


def _limit_now(key: str, numbers: dict[str, tuple[int, int]], now: int) -> LimitNow:
    limit_id = key.partition(" ")[0]
    kind, _, name = limit_id.partition(":")
    most, length = numbers.get(limit_id, (0, 0))
    if kind == "at_once":
        return LimitNow(name, _size("hlen", keys.slots(key)), most, None)
    return LimitNow(name, _size("zcount", keys.window(key), now - length, "+inf"), most, length / 1_000_000)


def _size(command: str, key: str, *words: object) -> int:
    """How much a key holds; nothing where it is in use for something else."""
    kind = {"hlen": b"hash", "zcount": b"zset"}[command]
    return int(getattr(client(), command)(key, *words)) if client().type(key) == kind else 0
