"""The names of claims: each is new, and of two that one process made the number says which came first."""

from __future__ import annotations

import secrets
from itertools import count, islice


class Tokens:
    """Tokens of one process's life."""

    def __init__(self) -> None:
        # Sixteen digits, for tokens are unique among all that ever were.
        self._life = secrets.token_hex(8)
        self._numbers = count(1)

    def fresh(self, number: int) -> list[str]:
        """So many new tokens, in rising order."""
        return [f"{self._life}-{each}" for each in islice(self._numbers, number)]


def number_of(token: str) -> int:
    """The token's number; 0 for one that `Tokens` did not make."""
    digits = token.rpartition("-")[2]
    return int(digits) if "-" in token and digits.isdecimal() else 0
