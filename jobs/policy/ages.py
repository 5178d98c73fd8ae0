"""Ages as people type them: `3d`, `12h`. Reads no clock."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+)([smhdw])")
_WHOLE = re.compile(r"(?:\d+[smhdw])+")


def parse_age(text: str) -> timedelta:
    """How long `text` says: whole numbers of w, d, h, m and s.

    Raises ValueError for anything else, and for ages beyond what a clock can hold.

    >>> parse_age("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    text = text.strip().lower()
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'"{text}" is no age. Write a number and a unit (s, m, h, d or w), such as 3d or 12h.')
    try:
        age = sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in _PART.findall(text)), timedelta())
    except OverflowError as error:
        raise ValueError(f'"{text}" is too long an age. Take one of some years at the most.') from error
    if age > timedelta(days=36525):
        raise ValueError(f'"{text}" is too long an age. Take one under a hundred years.')
    return age
