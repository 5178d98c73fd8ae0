"""The types of commands' options: a text becomes a value, or the command says what is wrong with it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def read(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """`parse`, as an option's type: what it says of a wrong text is shown."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def positive(text: str) -> int:
    """An option's type: a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no limit. Write a whole number from 1.')
    return int(text)
