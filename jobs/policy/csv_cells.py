"""Cells of a CSV file that no spreadsheet takes for a formula. Writes no file."""

from __future__ import annotations

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """A value as text; what a spreadsheet would calculate has an apostrophe before it.

    >>> [cell(value) for value in ("=1+1", "-cmd", "orders.charge", -5, None)]
    ["'=1+1", "'-cmd", 'orders.charge', '-5', '']
    """
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULAS) else text
