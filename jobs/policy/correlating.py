"""What may be a correlation: the id by which all that one request or run brought about is found. Makes none."""

from __future__ import annotations

import re

# What a row holds; what a callback is marked with takes some of it.
LONGEST = 100
WORDS = "1 to 80 letters, digits and ._:/+=@- that begin with a letter or a digit"
_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,79}")


def is_well_formed(name: object) -> bool:
    """Whether it can be stored, logged and searched for as it is, wherever it comes from.

    >>> is_well_formed("01HZX-7"), is_well_formed(""), is_well_formed("a b"), is_well_formed("x" * 81)
    (True, False, False, False)
    """
    return isinstance(name, str) and _WELL_FORMED.fullmatch(name) is not None
