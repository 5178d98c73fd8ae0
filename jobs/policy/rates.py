"""Rates and shares as people type them: `5/s`, `30/m`, `20%`. Reads no clock."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d{1,6}) ?/ ?(s|m|min|h)")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%")


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


def rate_in_words(per_second: float) -> str:
    """A rate as people read it, in the smallest unit that it fills.

    >>> rate_in_words(50.0), rate_in_words(0.5)
    ('50/s', '30/min')
    """
    unit = next((unit for unit in ("s", "min") if per_second * _UNITS[unit] >= 1), "h")
    return f"{round(per_second * _UNITS[unit], 2):g}/{unit}"


def parse_share(text: str) -> float:
    """The share that `text` says, as `20%`. Raises ValueError for anything else.

    >>> parse_share("20%")
    0.2
    """
    found = _SHARE.fullmatch(text.strip())
    if found is None or float(found[1]) > 100:
        raise ValueError(f'"{text}" is no share. Write per cent from 0% to 100%, such as 20%.')
    return round(float(found[1]) / 100, 6)
