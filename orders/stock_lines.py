"""The lines of a stock file: what each says, or what is wrong with it. Reads no file and no database."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

MOST_PIECES = 100_000
LONGEST_LINE = 1000
_COLUMNS = ("sku", "quantity")
_SEPARATORS = (",", ";", "\t")


class BadHeader(ValueError):
    """A first line without the columns that are needed."""


@dataclass(frozen=True)
class Columns:
    """Where a file has what: its separator, and the positions of SKU and quantity."""

    separator: str
    sku: int
    quantity: int


@dataclass(frozen=True)
class Delivery:
    """So many of one product came."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Problem:
    """Why a line is passed by."""

    words: str


def columns(header: bytes) -> Columns:
    """What the first line says. Raises `BadHeader`.

    >>> columns(b"SKU;Name;Quantity")
    Columns(separator=';', sku=0, quantity=2)
    """
    text = _decoded(header)
    if text is not None:
        for separator in _SEPARATORS:
            names = [name.strip().lower() for name in _cells(text, separator)]
            if all(names.count(name) == 1 for name in _COLUMNS):
                return Columns(separator, names.index("sku"), names.index("quantity"))
    raise BadHeader('The first line must name the columns "sku" and "quantity", with commas or semicolons between.')


def read(line: bytes, known: Columns) -> Delivery | Problem | None:
    """What a line says; None for an empty one.

    >>> read(b"JS-101,7", Columns(",", 0, 1))
    Delivery(sku='JS-101', quantity=7)
    >>> read(b"JS-101,many", Columns(",", 0, 1))
    Problem(words='"many" is no whole number.')
    """
    if len(line) > LONGEST_LINE:
        return Problem(f"It is longer than {LONGEST_LINE:,} bytes.")
    text = _decoded(line)
    if text is None:
        return Problem("It is not UTF-8.")
    if not text.strip():
        return None
    cells = _cells(text, known.separator)
    if len(cells) <= max(known.sku, known.quantity):
        return Problem(f"It has {len(cells)} of the columns that the first line names.")
    return _delivery(cells[known.sku].strip(), cells[known.quantity].strip())


def shown(line: bytes) -> str:
    """The beginning of a line, for people to look at."""
    text = line[:LONGEST_LINE].decode(errors="replace").strip()
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)[:200]


def _delivery(sku: str, quantity: str) -> Delivery | Problem:
    if not sku:
        return Problem("It names no SKU.")
    # Digits of ASCII only, and few: int() takes others, and as many as there are.
    if not (quantity.isascii() and quantity.isdigit() and len(quantity) <= 9):
        return Problem(f'"{quantity[:20]}" is no whole number.')
    if not 0 < int(quantity) <= MOST_PIECES:
        return Problem(f"The quantity must be from 1 to {MOST_PIECES:,}.")
    return Delivery(sku, int(quantity))


def _decoded(line: bytes) -> str | None:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.rstrip("\r\n")


def _cells(text: str, separator: str) -> Sequence[str]:
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return []
