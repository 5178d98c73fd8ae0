"""How many runs pushes have put into Redis for the first time, by job and queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.broker import keys
from jobs.broker.connection import client, errors_named

_DIGITS_MOST = 18
# The field that says since when the others count.
_SINCE = b""


@dataclass(frozen=True)
class Counted:
    """`counts` by job and queue; they only grow while `since` stays as it is."""

    since: str
    counts: dict[tuple[str, str], int]


def counted() -> Counted:
    """What is counted now. Changes nothing. Raises `BrokerUnavailable`."""
    with errors_named():
        # What is damaged must not stop whoever carries it.
        fields: dict[bytes, bytes] = client().hgetall(keys.ENQUEUED) if client().type(keys.ENQUEUED) == b"hash" else {}
    counts = [_read(field, count) for field, count in fields.items() if field != _SINCE]
    return Counted(fields.get(_SINCE, b"").decode(errors="replace"), dict(one for one in counts if one))


def _read(field: bytes, count: bytes) -> Any:
    queue, tab, name = field.decode(errors="replace").partition("\t")
    if not tab or not count.isdigit() or len(count) > _DIGITS_MOST:
        return None
    return (name[:200], queue[:100]), int(count)
