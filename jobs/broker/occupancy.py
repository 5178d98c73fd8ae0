"""How much of each limit is used now, and how many lanes wait for it. Looks only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jobs.broker import keys
from jobs.broker.connection import client, errors_named
from jobs.policy.limits import Limit

# Beyond that, lanes are not counted: of one customer each, nobody reads so many.
_AWAITED_MOST = 1000


@dataclass(frozen=True)
class Occupancy:
    """How it is with one limit. `used` is None where each value of its arguments counts apart."""

    used: int | None
    lanes: int = 0

    @property
    def is_any(self) -> bool:
        """Whether anything is under way or waits."""
        return bool(self.used or self.lanes)


def look(limits: Iterable[Limit]) -> dict[str, Occupancy]:
    """How it is with each of the limits, by their ids, in three round trips. Raises `BrokerUnavailable`."""
    there = {one.id: one for one in limits}
    if not there:
        return {}
    with errors_named():
        seconds, micros = client().time()
        awaited = _awaited()
        plain = [one for one in there.values() if not one.key]
        pipeline = client().pipeline(transaction=False)
        for one in plain:
            _ask_used(pipeline, one, now=seconds * 1_000_000 + micros)
        for key in awaited:
            pipeline.zcard(keys.waiters(key))
        answers = [0 if isinstance(one, Exception) else int(one) for one in pipeline.execute(raise_on_error=False)]
    used = {one.id: answer for one, answer in zip(plain, answers, strict=False)}
    lanes = dict.fromkeys(there, 0)
    for key, count in zip(awaited, answers[len(plain) :], strict=True):
        # What the values of arguments are is no page's business.
        if (own := key.partition(" ")[0]) in lanes:
            lanes[own] += count
    return {own: Occupancy(used.get(own), lanes[own]) for own in there}


def _awaited() -> list[str]:
    if client().type(keys.TIMERS) != b"zset":
        return []
    return [key.decode(errors="replace") for key in client().zrange(keys.TIMERS, 0, _AWAITED_MOST - 1)]


def _ask_used(pipeline: Any, limit: Limit, *, now: int) -> None:
    if limit.seconds is None:
        pipeline.hlen(keys.slots(limit.id))
    else:
        pipeline.zcount(keys.window(limit.id), f"({now - limit.numbers[1]}", "+inf")
