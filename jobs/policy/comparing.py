"""Comparisons as people type them: `>30s`, `<=1m30s`, `>2`. Compares nothing itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.policy.ages import parse_age

_SIGNS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact"}
_COMPARISON = re.compile(r"(>=|<=|>|<|=)?\s*(.*)", re.DOTALL)
_MILLISECONDS = re.compile(r"([0-9]{1,10})ms")
_SECONDS = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,3}))?s?")
# What a column of whole numbers holds on every database.
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Comparison:
    """A whole number, and how something stands to it: `gt`, `gte`, `lt`, `lte` or `exact`."""

    operator: str
    value: int


def compared_length(text: str) -> Comparison:
    """What `>30s` says, in milliseconds; a number alone is seconds. Raises ValueError where no sign is before it.

    >>> compared_length(">1m30s"), compared_length("<=250ms")
    (Comparison(operator='gt', value=90000), Comparison(operator='lte', value=250))
    """
    sign, length = _parts(text)
    if not sign:
        raise ValueError(f'"{text}" is no comparison. Write a sign and a length of time, such as >30s or <5m.')
    return Comparison(_SIGNS[sign], min(_milliseconds(length), _MOST))


def compared_count(text: str) -> Comparison:
    """What `>2` says; a number alone is that number. Raises ValueError.

    >>> compared_count(">=2"), compared_count("3")
    (Comparison(operator='gte', value=2), Comparison(operator='exact', value=3))
    """
    sign, count = _parts(text)
    if not re.fullmatch(r"[0-9]{1,10}", count):
        raise ValueError(f'"{text}" is no comparison. Write a whole number, with a sign before it or without: >2 or 3.')
    return Comparison(_SIGNS[sign or "="], min(int(count), _MOST))


def _parts(text: str) -> tuple[str, str]:
    match = _COMPARISON.fullmatch(text.strip())
    assert match
    return match[1] or "", match[2].strip()


def _milliseconds(length: str) -> int:
    if found := _MILLISECONDS.fullmatch(length.lower()):
        return int(found[1])
    if found := _SECONDS.fullmatch(length.lower()):
        return int(found[1]) * 1000 + int((found[2] or "0").ljust(3, "0"))
    return int(parse_age(length).total_seconds() * 1000)
