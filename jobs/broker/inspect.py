"""Looks at Redis and changes nothing: no registry clean-up, no maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.broker import keys
from jobs.broker.connection import client, errors_named

_OLDEST_SERVER = (6, 2)
_DIGITS_MOST = 18
# Of each queue; they stand in the order of their turns.
_LANES_LOOKED_AT = 20


@dataclass(frozen=True)
class Unfit:
    """Something about the server that may lose jobs: `check` is its system check."""

    check: str
    problem: str
    cure: str


@dataclass(frozen=True)
class QueueNow:
    """Runs of one queue by where they are. `depth` counts those in lanes too."""

    name: str
    depth: int
    started: int
    scheduled: int


def queues_now(names: Sequence[str]) -> list[QueueNow]:
    """Depths, in one round trip. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    for name in names:
        pipeline.llen(keys.queue(name))
        pipeline.zcard(f"rq:wip:{name}")
        pipeline.zcard(keys.scheduled(name))
    pipeline.hmget(keys.LANED, [*names, ""])
    with errors_named():
        *answers, laned = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
    if isinstance(laned, Exception):
        laned = [None] * len(names)
    return [
        QueueNow(name, depth + _count(in_lanes), started, scheduled)
        for name, depth, started, scheduled, in_lanes in zip(
            names, answers[0::3], answers[1::3], answers[2::3], laned, strict=False
        )
    ]


def laned(names: Sequence[str]) -> list[int]:
    """How many runs wait in the lanes of each of these queues. Raises `BrokerUnavailable`."""
    with errors_named():
        # A count that is damaged must not stop whoever looks for what was lost.
        if client().type(keys.LANED) != b"hash":
            return [0] * len(names)
        return [_count(told) for told in client().hmget(keys.LANED, [*names, ""])[:-1]]


def _count(told: bytes | None) -> int:
    """A number that Redis keeps for us; 0 where it is missing or damaged."""
    return int(told) if told and told.isdigit() and len(told) <= _DIGITS_MOST else 0


@dataclass(frozen=True)
class JournalNow:
    """What waits to be stored: `length` counts positions of the stream, each of one entry or of a few that were
    written together. `lag_seconds` is the age of the first, by the server's clock; 0 when there is none.
    """

    length: int
    lag_seconds: float


def journal_now() -> JournalNow:
    """How far the recorder is behind, in one round trip. Needs no database. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    pipeline.xlen(keys.JOURNAL)
    pipeline.xrange(keys.JOURNAL, count=1)
    pipeline.time()
    with errors_named():
        length, first, (seconds, microseconds) = pipeline.execute()
    if not first:
        return JournalNow(length, 0.0)
    written_ms = int(first[0][0].split(b"-")[0])
    return JournalNow(length, max(0.0, seconds + microseconds / 1e6 - written_ms / 1000))


def anything_queued(names: Sequence[str]) -> bool:
    """Whether one of the queues has a run that could start now; one in a parked lane cannot.

    Raises `BrokerUnavailable`.
    """
    with errors_named():
        return bool(client().exists(*[key(name) for name in names for key in (keys.queue, keys.bell)]))


def waits_now(names: Sequence[str]) -> dict[str, float]:
    """For how many seconds the next run of each queue has waited; 0 for an empty one. Raises `BrokerUnavailable`."""
    if not names:
        return {}
    with errors_named():
        heads = client().pipeline(transaction=False)
        for name in names:
            heads.lindex(keys.queue(name), 0)
        heads.time()
        *ids, (seconds, microseconds) = heads.execute()
        since = client().pipeline(transaction=False)
        for run_id in ids:
            since.hget(keys.job((run_id or b"").decode(errors="replace")), "ready_ms")
        ready = since.execute()
    now_ms = seconds * 1000 + microseconds / 1000
    return {name: _waited(now_ms, text) for name, text in zip(names, ready, strict=True)}


def oldest_now(names: Sequence[str]) -> dict[str, float]:
    """For how many seconds the oldest run of each queue has waited, also in its lanes; 0 for an empty one.

    Of many lanes those count whose turn comes first. What a fuse holds is not meant to start, and does not count.
    Raises `BrokerUnavailable`.
    """
    waits = waits_now(names)
    pipeline = client().pipeline(transaction=False)
    for name in names:
        pipeline.zrange(keys.lanes(name), 0, _LANES_LOOKED_AT - 1)
    with errors_named():
        found = pipeline.execute(raise_on_error=False) if names else []
    lanes = [
        (name, lane.decode(errors="replace"))
        for name, answer in zip(names, found, strict=True)
        if isinstance(answer, list)
        for lane in answer
        if keys.fuse_in(lane) is None
    ]
    for (name, _), seconds in zip(lanes, _heads_of([lane for _, lane in lanes]), strict=True):
        waits[name] = max(waits[name], seconds)
    return waits


def _heads_of(lanes: Sequence[str]) -> list[float]:
    """For how many seconds the first run of each of these lanes has waited."""
    if not lanes:
        return []
    pipeline = client().pipeline(transaction=False)
    for lane in lanes:
        pipeline.lindex(keys.lane(lane), 0)
    pipeline.time()
    with errors_named():
        *ids, (seconds, microseconds) = pipeline.execute(raise_on_error=False)
    known = [run_id.decode(errors="replace") if isinstance(run_id, bytes) else "" for run_id in ids]
    pipeline = client().pipeline(transaction=False)
    for run_id in known:
        pipeline.hget(keys.job(run_id), "ready_ms")
    with errors_named():
        ready = pipeline.execute(raise_on_error=False)
    now_ms = seconds * 1000 + microseconds / 1000
    return [_waited(now_ms, text if isinstance(text, bytes) else None) for text in ready]


def _waited(now_ms: float, ready_ms: bytes | None) -> float:
    is_number = ready_ms is not None and ready_ms.isdigit()
    return max(0.0, now_ms - int(ready_ms or 0)) / 1000 if is_number else 0.0


def begun(runs: Sequence[tuple[str, int]]) -> list[bool]:
    """Whether each of these runs, an id and a life, has begun or ended here, in one round trip.

    One that was handed back has not, unless it goes on where it was. Raises `BrokerUnavailable`.
    """
    pipeline = client().pipeline(transaction=False)
    for run_id, _ in runs:
        pipeline.hmget(keys.job(run_id), "life", "status", "attempts", "checkpoint")
    with errors_named():
        answers = pipeline.execute()
    return [_has_begun(answer, life) for answer, (_, life) in zip(answers, runs, strict=True)]


def _has_begun(answer: list[bytes | None], life: int) -> bool:
    there, status, attempts, checkpoint = answer
    if status is None or (there is not None and int(there) < life):
        return False
    waits = status in (b"queued", b"scheduled")
    return not waits or int(attempts or 0) > 0 or checkpoint is not None


def ping() -> None:
    """Raises `BrokerUnavailable` when the server does not answer."""
    with errors_named():
        client().ping()


def clock() -> float:
    """The server's time, as seconds since 1970. Raises `BrokerUnavailable`."""
    with errors_named():
        seconds, microseconds = client().time()
    return float(seconds + microseconds / 1e6)


def server() -> dict[str, Any]:
    """The server's version and what it does with memory and disk. Raises `BrokerUnavailable`."""
    with errors_named():
        info: dict[str, Any] = client().info()
        return info


def unfit(server: dict[str, Any]) -> list[Unfit]:
    """What may lose jobs, by what `server` tells."""
    found = []
    if (policy := server.get("maxmemory_policy")) != "noeviction":
        cure = "Set maxmemory-policy noeviction, or use a server of its own for jobs."
        found.append(Unfit("jobs.W001", f"The server may evict jobs: its policy is {policy}.", cure))
    version = tuple(int(part) for part in str(server.get("redis_version", "0.0")).split(".")[:2])
    if version < _OLDEST_SERVER:
        cure = "Use Valkey, or Redis 6.2 or newer."
        found.append(Unfit("jobs.W002", f"The server's version {version} is too old.", cure))
    if not server.get("aof_enabled"):
        cure = "Set appendonly yes, so that a restart keeps what waits."
        found.append(Unfit("jobs.W007", "The server keeps no append-only file.", cure))
    return found
