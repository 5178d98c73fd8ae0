"""Whether a regular expression that a project wrote can be searched for in every text. Searches for none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# Repeats up to so often are a bound.
_BOUNDED = 1000
_GREEDY = (codes.MAX_REPEAT, codes.MIN_REPEAT)


def problem_of(pattern: str) -> str:
    """Why it is not taken, empty when it is.

    >>> problem_of(r"EMP-\\d{4,8}"), problem_of("["), problem_of("x*")
    ('', 'is no regular expression', 'matches an empty text')
    >>> problem_of(r"(\\w+\\s?)+!")
    'repeats what repeats, and may take for ever'
    """
    try:
        compiled = re.compile(pattern)
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return "is no regular expression"
    if compiled.match(""):
        return "matches an empty text"
    return "repeats what repeats, and may take for ever" if _repeats_twice(tree) else ""


def _repeats_twice(tree: Any, *, inside: bool = False) -> bool:
    for code, argument in tree:
        repeats = code in _GREEDY and argument[1] > _BOUNDED
        if inside and repeats:
            return True
        if any(_repeats_twice(each, inside=inside or repeats) for each in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> Iterator[Any]:
    """What a piece of an expression is made of."""
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for each in argument:
            yield from _parts(each)
