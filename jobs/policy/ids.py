"""Ids that sort by the time of asking: UUID version 7 (RFC 9562). Reads no clock and draws no dice."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

_AS_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
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


def first_of_many(now_ns: int, random: bytes) -> int:
    """The id, as a number, from which so many may be counted up: all of one moment, and in the order of the asking.

    RFC 9562 allows this as its method 2 of section 6.2. The highest random bit is 0, so that counting never
    reaches the bits of the variant.
    """
    return time_sorted(now_ns, random).int & ~(1 << 61)


def as_text(number: int) -> str:
    """An id as `str(uuid.UUID(int=number))` writes it.

    >>> as_text(0x018BCFE568007000800000000000002A)
    '018bcfe5-6800-7000-8000-00000000002a'
    """
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_as_text(text: str) -> bool:
    """Whether a text is an id as `as_text` writes it; foreign ids are arbitrary.

    >>> is_as_text("018bcfe5-6800-7000-8000-00000000002a"), is_as_text("018BCFE5-6800-7000-8000-00000000002A")
    (True, False)
    """
    return _AS_TEXT.fullmatch(text) is not None


def first_at(moment: datetime) -> uuid.UUID:
    """The least id that a run asked for at `moment` can have."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return uuid.UUID(int=min(milliseconds, 2**48 - 1) << 80)


def time_of(run_id: uuid.UUID) -> datetime:
    """When the run of this id was asked for."""
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, tz=UTC)
