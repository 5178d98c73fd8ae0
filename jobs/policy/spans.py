"""Lengths of time as people read them. Reads no clock."""

from __future__ import annotations

import math

_UNITS = ((86_400, "days"), (3600, "h"), (60, "min"))


def in_words(seconds: float) -> str:
    """A length in its largest unit and the one below: no more is of use to who plans.

    >>> [in_words(one) for one in (0, 0.25, 2, 2.2, 90, 3600, 100_000, 2_000_000)]
    ['0 s', '0.25 s', '2 s', '2.2 s', '1 min 30 s', '1 h', '1 day 4 h', '23 days 4 h']
    """
    if not math.isfinite(seconds):
        return "for ever" if seconds > 0 else "?"
    if round(seconds, 1) < 60:
        return f"{round(seconds, 2 if seconds < 1 else 1):g} s"
    size, unit = next(one for one in _UNITS if round(seconds) >= one[0])
    below, smaller = {86_400: (3600, "h"), 3600: (60, "min"), 60: (1, "s")}[size]
    count, rest = divmod(round(seconds / below), size // below)
    # What was rounded up may fill the larger unit.
    first = f"{count} {unit if count != 1 else unit.removesuffix('s')}"
    return f"{first} {rest} {smaller}" if rest else first
