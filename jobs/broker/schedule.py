"""What a supervisor does each moment: renews leases, moves what is due, learns whose lease has ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs import conf, registry
from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named

logger = logging.getLogger(__name__)

# As many as one script call moves in about 2 ms, so that a herd does not hold up the server.
_PROMOTED_AT_ONCE = 500


@dataclass(frozen=True)
class Tick:
    """`next_due_seconds` is None when nothing is scheduled; `suspects` counts runs that wait to be run alone;
    `ended` are ids of workers whose lease has ended."""

    next_due_seconds: float | None
    suspects: int
    ended: list[str]


def tick_and_beat(worker_ids: Sequence[str], queues: Sequence[str], beat: lua.Call) -> tuple[Tick, str]:
    """The same, and in the same round trip a supervisor's `fleet.beat_call`; with what it is asked to do.

    Raises `BrokerUnavailable`.
    """
    ticked, order = lua.answers_of([_tick_call(worker_ids, queues), beat])
    if isinstance(ticked, Exception):
        raise ticked
    if isinstance(order, Exception):
        # What nobody can read of it must not keep it from its work.
        logger.error("what is told of this supervisor cannot be written: %s", order)
        return _read(ticked), ""
    return _read(ticked), order.decode(errors="replace")


def tick(worker_ids: Sequence[str], queues: Sequence[str]) -> Tick:
    """Renew the leases of `worker_ids` and move what is due in `queues`. Raises `BrokerUnavailable`."""
    name, arguments = _tick_call(worker_ids, queues)
    return _read(lua.run(name, arguments))


def _tick_call(worker_ids: Sequence[str], queues: Sequence[str]) -> lua.Call:
    lease = int(conf.get().LEASE * 1000)
    numbers = registry.limit_numbers()
    arguments: lua.Arguments = (lease, _PROMOTED_AT_ONCE, numbers, len(worker_ids), *worker_ids, *queues)
    return "tick", arguments


def _read(answer: Sequence[Any]) -> Tick:
    next_due, suspects, *ended = answer
    return Tick(None if next_due < 0 else next_due / 1000, suspects, _readable(ended))


def _readable(worker_ids: Sequence[bytes]) -> list[str]:
    """The ids as text. One that is none is of nobody, and is dropped."""
    damaged = [one for one in worker_ids if one.decode(errors="replace").encode() != one]
    if damaged:
        with errors_named():
            client().zrem(keys.LEASES, *damaged)
        logger.error("leases that cannot be read are dropped: %.200r", damaged)
    return [one.decode() for one in worker_ids if one not in damaged]


def hasten(runs: Sequence[tuple[str, str]]) -> None:
    """Let scheduled runs, given by id and queue, be due now. Others are left alone. Raises `BrokerUnavailable`."""
    with errors_named():
        seconds, microseconds = client().time()
        # To the millisecond, as a tick knows the time.
        now = (seconds * 1000 + microseconds // 1000) / 1000
        pipeline = client().pipeline(transaction=False)
        for run_id, queue in runs:
            for name in (queue, keys.suspects(queue)):
                pipeline.zadd(keys.scheduled(name), {run_id: now}, xx=True)
        pipeline.execute()


def postpone(run_id: str, queue: str, *, until: datetime) -> bool:
    """Let a scheduled run be due at another time. False where it is not scheduled. Raises `BrokerUnavailable`."""
    with errors_named():
        pipeline = client().pipeline(transaction=False)
        for name in (queue, keys.suspects(queue)):
            pipeline.zadd(keys.scheduled(name), {run_id: round(until.timestamp(), 3)}, xx=True)
            pipeline.zscore(keys.scheduled(name), run_id)
        answers: list[object] = pipeline.execute()
        return any(score is not None for score in answers[1::2])


def forget_workers(queues: Sequence[str]) -> int:
    """Remove workers from RQ's lists whose record has ended. Returns how many. Raises `BrokerUnavailable`."""
    gone: int = lua.run("forget_workers", list(queues))
    return gone
