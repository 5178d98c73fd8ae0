"""Ids that sort by the time of asking: UUID version 7 (RFC 9562). Reads no clock and draws no dice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

_NANOSECONDS = 1_000_000
# The twelve bits after the version are a fraction of the millisecond (the RFC's method 3).
_STEPS = 4096


def time_sorted(now_ns: int, random: bytes) -> uuid.UUID:
    """The id for a moment in nanoseconds since 1970 and eight random bytes.

    >>> time_sorted(1_700_000_000_000_000_000, bytes(8)) < time_sorted(1_700_000_000_001_000_000, bytes(8))
    True
    """
    milliseconds, rest = divmod(now_ns, _NANOSECONDS)
    fraction = rest * _STEPS // _NANOSECONDS
    noise = int.from_bytes(random[:8], "big") & ((1 << 62) - 1)
    return uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | noise)


def in_order(now_ns: int, random: Iterator[bytes]) -> Iterator[uuid.UUID]:
    """Ids that rise in the order they are taken, from one moment on."""
    for count, noise in enumerate(random):
        yield time_sorted(now_ns + count * (_NANOSECONDS // _STEPS + 1), noise)
