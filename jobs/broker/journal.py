"""The stream of what happened, read in order and trimmed behind what is stored."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import OutOfMemoryError

from jobs.broker import keys, lua
from jobs.broker.claim import WorkerId
from jobs.broker.connection import client, errors_named
from jobs.policy.storable import LATEST_MS

FIRST = "0-0"
_AT_ONCE = 500
# One script call of this many runs holds the server for about 2 ms.
_FORGOTTEN_AT_ONCE = 500


class Entry(NamedTuple):
    """One thing that happened. `at_ms` is the server's clock; `data` is None where the entry is damaged.

    Entries that were written together share their position.
    """

    position: str
    at_ms: int
    data: dict[str, Any] | None

    @property
    def kind(self) -> str:
        return str(self.data.get("entry", "")) if self.data else ""


def read(after: str, *, most: int, block_seconds: float = 0.0) -> list[Entry]:
    """The entries at up to `most` positions after one, waiting for the first. Raises `BrokerUnavailable`.

    `block_seconds` must stay under `REDIS_READ_TIMEOUT`.
    """
    block = int(block_seconds * 1000) or None
    with errors_named():
        answer = client().xread({keys.JOURNAL: after}, count=most, block=block)
    return [entry for _, told in answer for one in told for entry in _entries(*one)]


def read_stored(up_to: str, *, most: int) -> list[Entry]:
    """Entries that are stored but were not forgotten, as after a crash between the two."""
    with errors_named():
        return [entry for one in client().xrange(keys.JOURNAL, "-", up_to, count=most) for entry in _entries(*one)]


def settled_run_ids() -> set[str]:
    """The runs of which the journal has something to tell. Raises `BrokerUnavailable`."""
    found: set[str] = set()
    after = "-"
    while True:
        with errors_named():
            told = client().xrange(keys.JOURNAL, after, "+", count=_AT_ONCE)
        entries = [entry for one in told for entry in _entries(*one)]
        found.update(str(entry.data.get("run")) for entry in entries if entry.data and entry.kind == "settled")
        if len(told) < _AT_ONCE:
            return found
        after = f"({told[-1][0].decode()}"


def forget(up_to: str, ended: Sequence[tuple[str, int]]) -> None:
    """Trim the journal to what follows `up_to`, and shrink the hashes of ended runs, given by id and life.

    Raises `BrokerUnavailable`, and may be repeated.
    """
    chunks = [ended[first : first + _FORGOTTEN_AT_ONCE] for first in range(0, len(ended), _FORGOTTEN_AT_ONCE)] or [[]]
    # Trimmed last: if we die before it, what is left can be found again.
    for chunk, trim_to in zip(chunks, [*[""] * (len(chunks) - 1), up_to], strict=True):
        lua.run("forget", [trim_to, *[word for pair in chunk for word in pair]])


def announce(worker: WorkerId, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Write that attempts have started, each by its claim's token. Raises `BrokerUnavailable`."""
    words = [word for token, entry in entries for word in (token, json.dumps(entry, separators=(",", ":")))]
    lua.run("announce", [worker.id, *words])


def tell_figures(sums: Sequence[Any]) -> None:
    """Write what was counted of runs that have no entries of their own. Raises `BrokerUnavailable`."""
    # A recorder that does not know such entries passes by a run that nobody has.
    told = json.dumps({"entry": "figures", "run": "", "sums": sums}, separators=(",", ":"))
    with errors_named():
        client().xadd(keys.JOURNAL, {"e": told})


def wake() -> None:
    """Let a reader that waits for the next entry return at once. Raises `BrokerUnavailable`."""
    with errors_named():
        client().xadd(keys.JOURNAL, {"e": '{"entry":"wake"}'})


def take_over(owner: str, *, seconds: float) -> bool:
    """Whether `owner` is, or now becomes, the one that stores the journal for the next `seconds`.

    Only a courtesy between recorders: the cursor's row is what keeps two from storing an entry twice. So a key
    that is in use for something else keeps nobody from it.
    """
    with errors_named():
        # A server may be full of what we are to store.
        with contextlib.suppress(OutOfMemoryError):
            if client().set(keys.RECORDER, owner, nx=True, px=int(seconds * 1000)):
                return True
        kind = client().type(keys.RECORDER)
        if kind != b"string":
            return True
        if client().get(keys.RECORDER) != owner.encode():
            return False
        client().pexpire(keys.RECORDER, int(seconds * 1000))
        return True


def step_down(owner: str) -> None:
    """Let another recorder take over at once."""
    with errors_named():
        if client().type(keys.RECORDER) == b"string" and client().get(keys.RECORDER) == owner.encode():
            client().delete(keys.RECORDER)


def _entries(position: bytes, fields: dict[bytes, bytes]) -> list[Entry]:
    """What was written at one position: an entry, or several as a list."""
    try:
        told = json.loads(fields[b"e"])
    except (KeyError, ValueError, RecursionError):
        told = None
    at, at_ms = position.decode(), _at_ms(position, fields)
    together = told if isinstance(told, list) and told else [told]
    return [Entry(at, at_ms, data if isinstance(data, dict) else None) for data in together]


def _at_ms(position: bytes, fields: dict[bytes, bytes]) -> int:
    """When the entry was written: as it says, else as its position does."""
    try:
        at = int(float(fields[b"at"]))
    except (KeyError, ValueError, OverflowError):
        at = -1
    return at if 0 <= at <= LATEST_MS else int(position.split(b"-")[0])
