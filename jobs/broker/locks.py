"""Locks where all processes meet: each step is one script call, on the server's clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.lua import Call
from jobs.policy.storable import LATEST_MS

# More than anybody looks at.
LISTED_MOST = 200
# As far as a float is exact.
_LARGEST = 2.0**53


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. `job`, `run` and `worker` are empty outside of jobs."""

    host: str = ""
    process: int = 0
    worker: str = ""
    job: str = ""
    run: str = ""

    def __str__(self) -> str:
        where = f"{self.worker or self.host or '?'}, process {self.process}"
        return f"{self.job} {self.run} on {where}" if self.job else where


@dataclass(frozen=True)
class Taken:
    """The lock is ours. `fence` is larger than that of whoever held it before."""

    fence: int


@dataclass(frozen=True)
class Held:
    """Another one holds it, for `seconds_left` more if it is not renewed; `since` is seconds since 1970."""

    holder: Holder
    since: float
    idle_seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Listed:
    """A lock as it stands in Redis. Times are seconds since 1970 by the server's clock."""

    name: str
    token: str
    fence: int
    holder: Holder
    since: float
    renewed: float
    expires: float
    now: float


def acquire(name: str, *, token: str, life_seconds: float, holder: Holder) -> Taken | Held:
    """Take the lock if nobody has it; again under the same token is no other taking.

    Raises `BrokerUnavailable`, and then nobody knows.
    """
    told = json.dumps(asdict(holder))
    answer = lua.run("lock", ["acquire", name, token, _milliseconds(life_seconds), told])
    return Taken(int(answer[1])) if answer[0] == 1 else _held(answer)


def renewal(name: str, *, token: str, life_seconds: float) -> Call:
    """The call that lets it live on. See `is_done`."""
    return "lock", ["renew", name, token, _milliseconds(life_seconds)]


def renew(name: str, *, token: str, life_seconds: float) -> bool:
    """Let it live on; False when the token does not hold it any more. Raises `BrokerUnavailable`."""
    return is_done(lua.run(*renewal(name, token=token, life_seconds=life_seconds)))


def is_done(answer: Sequence[Any]) -> bool:
    """Whether the answer of `renewal` says that the token holds the lock."""
    return answer[0] == 1


def release(name: str, *, token: str) -> bool:
    """Let it go; False when the token does not hold it any more. Raises `BrokerUnavailable`."""
    return is_done(lua.run("lock", ["release", name, token, 0]))


def free(name: str, *, token: str, though_alive: bool) -> Held | None:
    """Let go what the holder `token` has; what is in the way of that, or None when it was done.

    That is another holder, none (`idle_seconds` is negative), or, unless `though_alive`, one that lives.
    Raises `BrokerUnavailable`.
    """
    answer = lua.run("lock", ["free", name, token, 0, int(though_alive)])
    return None if answer[0] == 1 else _held(answer)


def listed() -> list[Listed]:
    """The locks that are held, those that end last first. Changes nothing. Raises `BrokerUnavailable`."""
    with errors_named():
        seconds, microseconds = client().time()
        now = seconds + microseconds / 1e6
        names = client().zrevrangebyscore(keys.LOCKS, "+inf", f"({now * 1000:.0f}", start=0, num=LISTED_MOST)
        pipeline = client().pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(f"{keys.LOCK}{name.decode(errors='replace')}")
            pipeline.pttl(f"{keys.LOCK}{name.decode(errors='replace')}")
        answers = pipeline.execute(raise_on_error=False) if names else []
    found = zip(names, answers[::2], answers[1::2], strict=True)
    return [
        _listed(name.decode(errors="replace"), fields, left, now)
        for name, fields, left in found
        # It may have ended meanwhile; a key that is no hash is none of ours.
        if isinstance(fields, dict) and fields and isinstance(left, int)
    ]


def _listed(name: str, fields: dict[bytes, bytes], left_ms: int, now: float) -> Listed:
    told = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}
    return Listed(
        name=name,
        token=told.get("token", ""),
        fence=int(_number(told.get("fence"))),
        holder=_holder(told.get("holder", "")),
        since=min(_number(told.get("since")), LATEST_MS) / 1000,
        renewed=min(_number(told.get("renewed")), LATEST_MS) / 1000,
        expires=now + max(0, left_ms) / 1000,
        now=now,
    )


def _held(answer: Sequence[Any]) -> Held:
    _, idle_ms, left_ms, holder, since_ms = answer
    return Held(_holder(holder.decode(errors="replace")), since_ms / 1000, idle_ms / 1000, left_ms / 1000)


def _holder(told: str) -> Holder:
    """Who holds it; nobody in particular where that is damaged."""
    try:
        data = json.loads(told)
        return Holder(str(data["host"]), int(data["process"]), *(str(data[word]) for word in ("worker", "job", "run")))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Holder()


def _number(text: str | None) -> float:
    try:
        found = float(text or 0)
    except ValueError:
        return 0.0
    return found if 0 <= found <= _LARGEST else 0.0


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
