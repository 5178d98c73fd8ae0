"""Rates as people type them: `5/s`, `30/m`. Reads no clock."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d{1,6}) ?/ ?([smh])")


def parse_rate(text: str) -> float:
    """How many in a second `text` says: a whole number from 1 for each s, m or h.

    Raises ValueError for anything else.

    >>> parse_rate("30/m")
    0.5
    """
    found = _RATE.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise ValueError(f'"{text}" is no rate. Write a number for each s, m or h, such as 5/s or 30/m.')
    return int(found[1]) / _UNITS[found[2]]
