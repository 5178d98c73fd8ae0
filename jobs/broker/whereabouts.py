"""All that Redis knows of why one run does not start, in one round trip. Looks only, and needs no database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jobs import registry
from jobs.broker import keys, lua
from jobs.policy.storable import LATEST_MS
from jobs.policy.whereabouts import COUNTED, Holder, LaneNow, LimitNow, Listed, Parent, Whereabouts, WorkersNow

_NAMED = 3


def look(run_id: str, queue: str) -> Whereabouts:
    """Where a run is now. Raises `BrokerUnavailable`."""
    words: lua.Arguments = [lua.SERVER, run_id, queue, registry.limit_numbers(), COUNTED, _NAMED]
    return _whereabouts(json.loads(lua.run("why", words).decode(errors="replace"), strict=False))


def queue_of(run_id: str) -> str | None:
    """The queue that a run's hash names, None where it has none. Raises `BrokerUnavailable`."""
    found = look(run_id, "")
    return found.queue_name or None


def _whereabouts(told: dict[str, Any]) -> Whereabouts:
    words = _dict(told.get("hash"))
    lane = told.get("lane")
    return Whereabouts(
        at=_moment(told["now"]) or datetime.now(UTC),
        kind=told["kind"],
        life=_whole(words.get("life")),
        status=words.get("status", ""),
        attempts=_whole(words.get("attempts")),
        crashes=_whole(words.get("crashes")),
        worker=words.get("worker_name", ""),
        job=str(words.get("description", "")).partition("(")[0],
        queue_name=words.get("origin", ""),
        ready_at=_moment(words.get("ready_ms")),
        claimed_at=_moment(words.get("claimed_ms")),
        due_at=_moment(_number(told.get("due")) * 1000),
        queue=_listed(told["queue"]),
        suspects=_listed(told["suspects"]),
        laned=_whole(told.get("laned")),
        lane=_lane(lane) if lane else None,
        parents=tuple(Parent(one["run"], one.get("state")) for one in _list(told.get("parents"))),
        is_held=told["is_held"],
        lease_until=_moment(told.get("lease")),
        is_stopping=told["is_stopping"],
        is_compared=told["is_compared"],
        journal=_whole(told["journal"]),
        journal_since=_moment(told.get("journal_since")),
        has_recorder=told["records"],
        ticked_at=_moment(told.get("ticked")),
        workers=_workers(told["workers"]),
        serving=_workers(told["serving"]),
    )


def _lane(told: dict[str, Any]) -> LaneNow:
    return LaneNow(
        name=told["name"],
        listed=_listed(told),
        is_known=told["known"],
        is_parked=told["parked"],
        ready=_whole(told["ready"]),
        fuse=keys.fuse_in(told["name"].encode()),
        limits=tuple(map(_limit, _list(told["limits"]))),
    )


def _limit(told: dict[str, Any]) -> LimitNow:
    name = told["key"].partition(" ")[0].partition(":")[2]
    holders = tuple(
        Holder(one["run"], str(one["worker"]).partition("/")[0], _moment(one.get("since")))
        for one in _list(told.get("holders"))
    )
    return LimitNow(name, told["used"], _whole(told["most"]), told.get("seconds"), _moment(told.get("free")), holders)


def _listed(told: dict[str, Any]) -> Listed:
    return Listed(_whole(told["length"]), told.get("position"))


def _workers(told: dict[str, Any]) -> WorkersNow:
    return WorkersNow(told["live"], told["quiet"], told["busy"], tuple(_list(told["names"])))


def _dict(told: Any) -> dict[str, Any]:
    # Lua writes an empty table either way.
    return told if isinstance(told, dict) else {}


def _list(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _number(told: Any) -> float:
    try:
        return float(told or 0)
    except (TypeError, ValueError):
        return 0.0


def _whole(told: Any) -> int:
    number = _number(told)
    return int(number) if abs(number) < 2**53 else 0


def _moment(milliseconds: Any) -> datetime | None:
    found = _number(milliseconds)
    return datetime.fromtimestamp(found / 1000, UTC) if 0 < found <= LATEST_MS else None
