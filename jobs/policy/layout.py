"""Where the steps of a graph stand when it is drawn: in rows, from the top, with few crossings. Draws nothing.

1. A step stands in the first row below all that it comes after, those with the longest way ahead first.
   A row takes `MOST_IN_A_ROW`; the others go to the next.
2. An edge that passes a row gets a place in it, so that it runs between the boxes and not across them.
3. The order within the rows is improved by the mean place of the neighbours, down and up, and the best is kept.
4. Each is then moved as near to the middle of its neighbours as the distances allow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# In pixels: a box holds some 20 letters, and five of them fit a desk's window, with lines between them.
BOX_WIDTH, BOX_HEIGHT = 176, 48
GAP, ROW_GAP, MARGIN = 20, 44, 8
# What an edge takes of a row that it passes.
LANE = 12
MOST_IN_A_ROW = 5
# More than so many change little.
_SWEEPS = 8


@dataclass(frozen=True)
class Box:
    """A step's place: its row, counted from 0, and its upper left corner."""

    name: str
    row: int
    x: int
    y: int


@dataclass(frozen=True)
class Edge:
    """From a step to one that comes after it: the points that it goes through, from above to below."""

    start: str
    end: str
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Layout:
    """Boxes in reading order, edges, and the room that they need."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int


@dataclass(frozen=True)
class _Pass:
    """Where edges pass a row: those that come from one step, or go to one, share it."""

    name: str
    shared_by_start: bool
    row: int


_Place = str | _Pass


@dataclass
class _Rows:
    """What stands in each row, in its order, and what each is joined with in the row above and below."""

    rows: list[list[_Place]]
    ways: dict[tuple[str, str], list[_Place]]
    above: dict[_Place, list[_Place]] = field(default_factory=dict)
    below: dict[_Place, list[_Place]] = field(default_factory=dict)


def layout(after: Mapping[str, Iterable[str]]) -> Layout:
    """The places of steps, by what each of them comes after. All must be steps, and none come after itself.

    >>> [(box.name, box.row) for box in layout({"pay": [], "ship": ["pay"], "tell": ["ship", "pay"]}).boxes]
    [('pay', 0), ('ship', 1), ('tell', 2)]
    """
    before = {name: list(dict.fromkeys(names)) for name, names in after.items()}
    if not before:
        return Layout((), (), 0, 0)
    rows = _with_passes(before, _rows_of(before))
    _improve(rows)
    return _drawn(rows, _centres(rows))


def _rows_of(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The row of each step."""
    ahead = _ways_ahead(before)
    # Who has the longer way ahead comes first; a step's way is longer than that of all that come after it.
    order = sorted(before, key=lambda name: -ahead[name])
    row_of: dict[str, int] = {}
    taken: dict[int, int] = {}
    for name in order:
        row = max((row_of[earlier] + 1 for earlier in before[name]), default=0)
        while taken.get(row, 0) >= MOST_IN_A_ROW:
            row += 1
        row_of[name] = row
        taken[row] = taken.get(row, 0) + 1
    return row_of


def _ways_ahead(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many steps come after each one at the most, one after the other."""
    ahead = dict.fromkeys(before, 0)
    waiting = dict.fromkeys(before, 0)
    for names in before.values():
        for earlier in names:
            waiting[earlier] += 1
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        for earlier in before[name]:
            ahead[earlier] = max(ahead[earlier], ahead[name] + 1)
            waiting[earlier] -= 1
            if not waiting[earlier]:
                ready.append(earlier)
    if any(waiting.values()):
        raise ValueError("steps that come after themselves cannot be drawn")
    return ahead


def _with_passes(before: Mapping[str, Sequence[str]], row_of: Mapping[str, int]) -> _Rows:
    made = _Rows([[] for _ in range(max(row_of.values()) + 1)], {})
    for name in before:
        made.rows[row_of[name]].append(name)
    fans = _fan_outs(before)
    joined: set[tuple[_Place, _Place]] = set()
    for end, starts in before.items():
        for start in starts:
            by_start = fans[start] > len(starts)
            passed = range(row_of[start] + 1, row_of[end])
            way: list[_Place] = [start, *(_Pass(start if by_start else end, by_start, row) for row in passed), end]
            made.ways[start, end] = way
            joined.update(pairwise(way))
    for upper, lower in sorted(joined, key=repr):
        made.below.setdefault(upper, []).append(lower)
        made.above.setdefault(lower, []).append(upper)
    for place in sorted({place for pair in joined for place in pair if isinstance(place, _Pass)}, key=repr):
        made.rows[place.row].append(place)
    return made


def _fan_outs(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    fans = dict.fromkeys(before, 0)
    for names in before.values():
        for earlier in names:
            fans[earlier] += 1
    return fans


def _improve(rows: _Rows) -> None:
    """Order each row by the mean place of its neighbours, again and again, and keep the order of fewest crossings."""
    best, fewest = [list(row) for row in rows.rows], _crossings(rows)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for number in range(1, len(rows.rows)) if down else range(len(rows.rows) - 2, -1, -1):
            _order(rows, number, rows.above if down else rows.below, number - 1 if down else number + 1)
        if (count := _crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows.rows], count
    rows.rows = best


def _order(rows: _Rows, number: int, neighbours: Mapping[_Place, list[_Place]], beside: int) -> None:
    place_of = {place: index for index, place in enumerate(rows.rows[beside])}
    wanted = {}
    for index, place in enumerate(rows.rows[number]):
        found = [place_of[each] for each in neighbours.get(place, ())]
        wanted[place] = _mean(found) if found else float(index)
    rows.rows[number].sort(key=wanted.__getitem__)


def _crossings(rows: _Rows) -> int:
    return sum(_crossings_below(rows, number) for number in range(len(rows.rows) - 1))


def _crossings_below(rows: _Rows, number: int) -> int:
    place_of = {place: index for index, place in enumerate(rows.rows[number + 1])}
    ends = [
        place_of[lower]
        for upper in rows.rows[number]
        for lower in sorted(rows.below.get(upper, ()), key=place_of.__getitem__)
    ]
    return sum(left > right for index, left in enumerate(ends) for right in ends[index + 1 :])


def _centres(rows: _Rows) -> dict[_Place, float]:
    """The middle of each place, as near to that of its neighbours as the others in its row allow."""
    room = max(_length(row) for row in rows.rows)
    centres: dict[_Place, float] = {}
    for row in rows.rows:
        centres.update(zip(row, _spread(row, [room / 2] * len(row), room), strict=True))
    for sweep in range(2 * _SWEEPS):
        for row in rows.rows if sweep % 2 == 0 else reversed(rows.rows):
            wanted = [_middle_of_neighbours(rows, place, centres) for place in row]
            centres.update(zip(row, _spread(row, wanted, room), strict=True))
    return centres


def _middle_of_neighbours(rows: _Rows, place: _Place, centres: Mapping[_Place, float]) -> float:
    beside = [*rows.above.get(place, ()), *rows.below.get(place, ())]
    return _mean([centres[each] for each in beside]) if beside else centres[place]


def _spread(row: Sequence[_Place], wanted: Sequence[float], room: float) -> list[float]:
    """The middles nearest to those wanted, by the sum of squares, that keep their order, distances and the room.

    Who is in another's way stands with it as one block, which has what all of them want on the average.
    """
    offsets = list(_offsets(row))
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            earlier = blocks.pop()
            total, count = total + earlier[0], count + earlier[1]
        blocks.append((total, count))
    most = room - _length(row)
    starts = [min(max(total / count, 0.0), most) for total, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]


def _offsets(row: Sequence[_Place]) -> Iterator[float]:
    """How far right of the row's beginning the middle of each is at the least."""
    edge = 0.0
    for place in row:
        yield edge + _width(place) / 2
        edge += _width(place) + GAP


def _length(row: Sequence[_Place]) -> int:
    return sum(_width(place) + GAP for place in row) - GAP


def _width(place: _Place) -> int:
    return LANE if isinstance(place, _Pass) else BOX_WIDTH


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _drawn(rows: _Rows, centres: Mapping[_Place, float]) -> Layout:
    # Always rounded downwards, so that what keeps its distance goes on to.
    left = min(centre - _width(place) / 2 for place, centre in centres.items())
    middle = {place: math.floor(centre - left + 0.5) + MARGIN for place, centre in centres.items()}
    right = max(at + _width(place) // 2 for place, at in middle.items())
    boxes = [
        Box(place, number, middle[place] - BOX_WIDTH // 2, _top(number))
        for number, row in enumerate(rows.rows)
        for place in row
        if isinstance(place, str)
    ]
    row_of = {box.name: box.row for box in boxes}
    edges = [Edge(start, end, tuple(_points(way, row_of, middle))) for (start, end), way in sorted(rows.ways.items())]
    return Layout(tuple(boxes), tuple(edges), right + MARGIN, _top(len(rows.rows) - 1) + BOX_HEIGHT + MARGIN)


def _points(
    way: Sequence[_Place], row_of: Mapping[str, int], middle: Mapping[_Place, int]
) -> Iterator[tuple[int, int]]:
    start, *passes, end = way
    yield middle[start], _top(row_of[str(start)]) + BOX_HEIGHT
    for place in passes:
        assert isinstance(place, _Pass)
        yield middle[place], _top(place.row)
        yield middle[place], _top(place.row) + BOX_HEIGHT
    yield middle[end], _top(row_of[str(end)])


def _top(row: int) -> int:
    return MARGIN + row * (BOX_HEIGHT + ROW_GAP)
