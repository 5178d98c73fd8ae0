"""Where runs are in Redis, compared with what their rows say: looks, puts back what is nowhere, removes what has ended.

It knows no rows; `jobs.lost` does.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import chain, islice
from typing import Any, Literal

from rq.utils import utcformat

from jobs.broker import inspect, keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.parcels import Message

# In a place; says that it waits in its queue; in a place with fewer attempts than its row; ended here; in no place; a
# key is in use for something else; put back.
Place = Literal["there", "queued", "behind", "ended", "lost", "damaged", "restored"]
# One script call of this many runs holds the server for about 2 ms.
_CHUNK = 250
_KEYS_AT_ONCE = 500
_IDS_AT_ONCE = 2000


@dataclass(frozen=True)
class Sought:
    """A run as its row has it; `begun` counts its attempts."""

    run_id: str
    queue: str
    life: int
    begun: int = 0


class Listed:
    """The ids that wait in some queues at one moment, in 8 bytes each: two ids in 10^13 may be taken for one."""

    def __init__(self, run_ids: Iterable[bytes]) -> None:
        self._numbers = array("Q", sorted(array("Q", map(_number, run_ids))))

    def __contains__(self, run_id: str) -> bool:
        wanted = _number(run_id.encode())
        at = bisect_left(self._numbers, wanted)
        return at < len(self._numbers) and self._numbers[at] == wanted

    def __len__(self) -> int:
        return len(self._numbers)


def listed(queues: Iterable[str]) -> Listed:
    """What waits in these queues and in their suspects' ones, lanes and all. Raises `BrokerUnavailable`."""
    names = [name for queue in queues for name in (queue, keys.suspects(queue))]
    return Listed(chain.from_iterable(chain(_ids_in(keys.queue(name)), _ids_in_lanes(name)) for name in names))


def depth(queues: Iterable[str]) -> int:
    """How many ids `listed` would go over. Raises `BrokerUnavailable`."""
    with errors_named():
        names = [name for queue in queues for name in (queue, keys.suspects(queue))]
        listed = sum(client().llen(keys.queue(name)) for name in names if client().type(keys.queue(name)) == b"list")
        return listed + sum(inspect.laned(names))


def look(runs: Sequence[Sought]) -> list[Place]:
    """Where each of the runs is; "queued" is what its hash says. Raises `BrokerUnavailable`."""
    return _asked("look", runs)


def search(runs: Sequence[Sought]) -> list[Place]:
    """The same, and goes through the queue for each that says it is there: for a few. Raises `BrokerUnavailable`."""
    return _asked("search", runs)


def _asked(verb: str, runs: Sequence[Sought]) -> list[Place]:
    places: list[Place] = []
    for chunk in _chunks(runs):
        words = [word for run in chunk for word in (run.run_id, run.queue, run.life, run.begun, "", "", 0)]
        places += _places(lua.run("places", [verb, *words]))
    return places


def restore(messages: Sequence[Message], *, crashes: Sequence[int], at: datetime, ended_too: bool) -> list[Place]:
    """Put back the runs that are in no place, and where each was found. May be repeated.

    `ended_too` also takes those that have ended here. Raises `BrokerUnavailable`, and then some may be back.
    """
    pushed_at = utcformat(at)
    places: list[Place] = []
    for chunk in _chunks(list(zip(messages, crashes, strict=True))):
        arguments: list[Any] = ["reissue" if ended_too else "restore"]
        for message, crashed in chunk:
            due = "" if message.due_at is None else int(message.due_at.timestamp() * 1000)
            facts = message.fields(pushed_at) | ({"crashes": crashed} if crashed else {})
            fields = [word for pair in facts.items() for word in pair]
            arguments += [message.run_id, message.queue, message.life, message.begun, due, message.limits]
            arguments += [len(fields), *fields]
        places += _places(lua.run("places", arguments))
    return places


def remove(runs: Sequence[Sought]) -> int:
    """Remove runs whose rows have ended, also from whoever holds them. Returns how many there were.

    Raises `BrokerUnavailable`.
    """
    return sum(
        lua.run("remove", [word for run in chunk for word in (run.run_id, run.queue, run.life)])
        for chunk in _chunks(runs)
    )


def scan(cursor: str) -> tuple[str, list[Sought]]:
    """Some of the runs that are in a place and ought to have a row, and where to go on: "0" is the end.

    Raises `BrokerUnavailable`.
    """
    following, *words = lua.run("scan", [cursor, _KEYS_AT_ONCE])
    texts = [word.decode(errors="replace") for word in words]
    rows = zip(texts[0::3], texts[1::3], texts[2::3], strict=True)
    return following.decode(), [Sought(run_id, queue, int(life)) for run_id, queue, life in rows if life.isdecimal()]


def scan_all() -> Iterator[list[Sought]]:
    """All runs that are in a place and ought to have a row, some hundred at a time. Raises `BrokerUnavailable`."""
    cursor = ""
    while cursor != "0":
        cursor, found = scan(cursor or "0")
        yield found


def _ids_in_lanes(queue: str) -> Iterator[bytes]:
    for names in _lanes_of(queue):
        found = [keys.lane(name.decode()) for name in names]
        for key, length in zip(found, _pipelined("llen", found, nothing=0), strict=True):
            if length > _IDS_AT_ONCE:
                yield from _ids_in(key)
        # Most are short, and there may be one for each customer.
        for run_ids in _pipelined("lrange", found, 0, _IDS_AT_ONCE - 1, nothing=()):
            yield from run_ids


def _lanes_of(queue: str) -> Iterator[list[bytes]]:
    cursor = None
    while cursor != 0:
        with errors_named():
            if client().type(keys.lanes(queue)) != b"zset":
                return
            cursor, found = client().zscan(keys.lanes(queue), cursor or 0, count=_KEYS_AT_ONCE)
        yield [name for name, _ in found]


def _pipelined(command: str, found: Sequence[str], *words: int, nothing: Any) -> list[Any]:
    """The answers of one command for each key; `nothing` of a key of the wrong type."""
    pipeline = client().pipeline(transaction=False)
    for key in found:
        getattr(pipeline, command)(key, *words)
    with errors_named():
        answers = pipeline.execute(raise_on_error=False) if found else []
    return [nothing if isinstance(one, Exception) else one for one in answers]


def _ids_in(key: str) -> Iterator[bytes]:
    """From the end: what is claimed meanwhile moves the rest towards the head, where we still come by."""
    with errors_named():
        after = client().llen(key) if client().type(key) == b"list" else 0
    while after > 0:
        first = max(0, after - _IDS_AT_ONCE)
        with errors_named():
            yield from client().lrange(key, first, after - 1)
        after = first


def _number(run_id: bytes) -> int:
    return int.from_bytes(blake2b(run_id, digest_size=8).digest())


def _places(answers: Sequence[bytes]) -> list[Any]:
    return [answer.decode() for answer in answers]


def _chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
