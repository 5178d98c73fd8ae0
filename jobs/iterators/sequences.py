"""Items of a list, a tuple or a range. The cursor is the item's place in it, and a mark of the item."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from jobs.errors import BadOptions, SourceChanged
from jobs.iterators.over import Over

T = TypeVar("T")

# What looks the same in every process.
_PLAIN = (str, int, float, bool, type(None), tuple, list)


def items(sequence: Sequence[T], cursor: Any) -> Iterator[tuple[list[Any], T]]:
    """Pairs of cursor and item, from behind `cursor` on.

    The sequence must be the same whenever it is made; more at its end does no harm. Raises `BadOptions`, and
    `SourceChanged` where another item stands at the cursor.
    """
    _check(sequence)
    first = 0
    if cursor is not None:
        at, mark = cursor
        if at >= len(sequence) or _mark(sequence[at]) != mark:
            raise SourceChanged(
                f"What stands at place {at} of the sequence is not what this run has done there. "
                "Make it give the same items in the same order and retry the run, or enqueue a new one."
            )
        first = at + 1
    for at in range(first, len(sequence)):
        yield [at, _mark(sequence[at])], sequence[at]


def items_of(of: Callable[..., Sequence[T]]) -> Over[T]:
    """For `iterates=`: the items of the sequence that `of` gives for the job's arguments. See `items`.

    @job(iterates=items_of(lambda first, last: range(first, last + 1)))
    def draw_tile(number, first, last): ...
    """
    return Over(of, items, name="items_of", count=_length)


def _length(sequence: Sequence[Any]) -> int:
    _check(sequence)
    return len(sequence)


def _check(sequence: Any) -> None:
    if isinstance(sequence, str | bytes) or not isinstance(sequence, Sequence):
        raise BadOptions(
            f"A {type(sequence).__name__} has no places to go on from, or not the same ones each time: "
            "give a list, a tuple or a range, such as sorted(…)"
        )


def _mark(item: object) -> int:
    return zlib.crc32(repr(item).encode(errors="replace")) if isinstance(item, _PLAIN) else 0
