"""Where the lines and bars of a chart stand, with axes that people can read. Draws nothing and reads no clock.

Upright, coordinates are in pixels of a plot of `HEIGHT`. Across, they go from 0 to `WIDTH`, and the plot is stretched
to whatever width there is. What is written beside it stands at per cents of that, so that no text is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH, HEIGHT = 600, 120
# So many labels fit the width of a phone, and so many lines look calm.
_MOST_PLACES, _MOST_LEVELS = 6, 4
_MOST_LETTERS = 36
_DASHES = ("", "7 4", "2 4", "12 4 2 4")
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440, 14 * 1440, 28 * 1440, 91 * 1440)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Series:
    """One line, or one part of each bar. A value is None where nothing is known: a line has a gap there.

    `look` says what it means, and so its colour: `plain`, `good`, `bad` or `quiet`.
    """

    name: str
    values: Sequence[float | None]
    look: str = "plain"


@dataclass(frozen=True)
class Mark:
    """Something that happened while the chart went on, such as a release."""

    at: datetime
    name: str


@dataclass(frozen=True)
class Chart:
    """Figures to be drawn: one value of each series for each place of `over`.

    `over` has the moment at which each slice of time begins, all of them of one length, or a word for each place.
    `unit` is what the values are: `count`, `per cent` (0 to 100), `ms` or `seconds`. `bars` stack the series.
    `every` is the length of a slice; it may be left out where there are two or more.
    """

    name: str
    over: Sequence[datetime | str]
    series: Sequence[Series]
    unit: str = "count"
    bars: bool = False
    marks: Sequence[Mark] = ()
    every: timedelta | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see: no value but 0."""
        return not any(value for each in self.series for value in each.values)

    @property
    def moments(self) -> list[datetime]:
        """Where its slices of time begin; none where it goes over words."""
        return [at for at in self.over if isinstance(at, datetime)]


@dataclass(frozen=True)
class Level:
    """A value of the upright axis, and how many pixels below the top it stands."""

    value: float
    y: str


@dataclass(frozen=True)
class Place:
    """A moment or a word of the axis across, and where: in the plot, and in per cent."""

    of: datetime | str
    x: str
    percent: str


@dataclass(frozen=True)
class Line:
    """A series as a path. `dots` are the values that stand alone, each a line of no length with round ends."""

    name: str
    look: str
    dash: str
    path: str
    dots: str


@dataclass(frozen=True)
class Bar:
    """A series' part of one bar."""

    look: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Slice:
    """What a chart says of one moment or word: the strip that belongs to it, and the value of each series."""

    of: datetime | str
    x: str
    width: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Drawing:
    """A chart that only needs to be written down."""

    levels: list[Level]
    places: list[Place]
    lines: list[Line]
    bars: list[Bar]
    marks: list[tuple[Mark, Place]]
    slices: list[Slice]


def draw(chart: Chart) -> Drawing:
    """Where everything in a chart stands."""
    count = len(chart.over)
    levels = scale(_highest(chart), unit=chart.unit)
    top = levels[-1]
    wide = WIDTH / max(1, count)
    return Drawing(
        levels=[Level(value, _number(_y(value, top))) for value in levels],
        places=list(_places(chart)),
        lines=[] if chart.bars else [_line(each, number, top, wide) for number, each in enumerate(chart.series)],
        bars=list(_bars(chart, top, wide)) if chart.bars else [],
        marks=[(mark, _place(mark.at, part)) for mark in chart.marks if (part := _part(chart, mark.at)) is not None],
        slices=[
            Slice(of, _number(place * wide), _number(wide), tuple(each.values[place] for each in chart.series))
            for place, of in enumerate(chart.over)
        ],
    )


def scale(highest: float, *, unit: str = "count") -> list[float]:
    """The values of an axis: from 0 in even steps that people can read, up to at least `highest`.

    >>> scale(87), scale(0), scale(0.3), scale(95, unit="per cent")
    ([0, 50, 100], [0, 1], [0, 1], [0, 50, 100])
    >>> scale(2300, unit="ms"), scale(100, unit="seconds")
    ([0, 1000, 2000, 3000], [0, 30, 60, 90, 120])
    """
    step = next(step for step in _steps(unit) if step * _MOST_LEVELS >= highest)
    return [step * number for number in range(max(1, math.ceil(highest / step)) + 1)]


def time_places(begin: datetime, end: datetime) -> list[datetime]:
    """Up to six round times from `begin` to before `end`, by the clock of `begin`."""
    for minutes in _MINUTES:
        step = timedelta(minutes=minutes)
        if (end - begin) / step <= _MOST_PLACES:
            break
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    # A day begins when the wall's clock says so, however long the one before was.
    first = -(-(begin - midnight) // step) if step < _DAY else int(begin > midnight)
    found = (midnight + number * step for number in range(first, first + _MOST_PLACES + 2))
    return [at for at in found if at < end][: _MOST_PLACES + 1]


def _steps(unit: str) -> Iterator[float]:
    if unit in ("seconds", "ms"):
        thousand = 1000 if unit == "ms" else 1
        # Below a second lengths are read as numbers are.
        yield from [step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500) if step < thousand]
        yield from (seconds * thousand for seconds in _SECONDS)
    first = _SECONDS[-1] * (1000 if unit == "ms" else 1) if unit in ("seconds", "ms") else 1
    while True:
        yield from (first, first * 2, first * 5)
        first *= 10


def _highest(chart: Chart) -> float:
    if chart.bars:
        return max(
            (sum(each.values[place] or 0 for each in chart.series) for place in range(len(chart.over))), default=0
        )
    return max((value for each in chart.series for value in each.values if value is not None), default=0)


def _line(series: Series, number: int, top: float, wide: float) -> Line:
    points = [
        None if value is None else ((place + 0.5) * wide, _y(value, top)) for place, value in enumerate(series.values)
    ]
    parts, dots = [], []
    for before, here, after in zip([None, *points], points, [*points[1:], None], strict=False):
        if here is None:
            continue
        at = f"{_number(here[0])} {_number(here[1])}"
        if before is None and after is None:
            dots.append(f"M{at}h0")
        else:
            parts.append(f"M{at}" if before is None else f"L{at}")
    return Line(series.name, series.look, _DASHES[number % len(_DASHES)], "".join(parts), "".join(dots))


def _bars(chart: Chart, top: float, wide: float) -> Iterator[Bar]:
    for place in range(len(chart.over)):
        foot = 0.0
        for each in chart.series:
            if value := each.values[place] or 0:
                below, above = _y(foot, top), _y(foot + value, top)
                # What is there is seen, however little it is.
                tall = max(below - above, 1.0)
                x, y = place * wide + wide / 10, below - tall
                yield Bar(each.look, _number(x), _number(y), _number(wide * 0.8), _number(tall))
                foot += value


def _places(chart: Chart) -> Iterator[Place]:
    moments = chart.moments
    if not moments:
        count, longest = len(chart.over), max((len(str(word)) for word in chart.over), default=1)
        apart = max(1, -(-count // max(1, min(_MOST_PLACES, _MOST_LETTERS // max(1, longest)))))
        for place in range(0, count, apart):
            yield _place(chart.over[place], (place + 0.5) / count)
        return
    for at in time_places(moments[0], moments[-1] + _length(chart)):
        if (part := _part(chart, at)) is not None:
            yield _place(at, part)


def _part(chart: Chart, at: datetime) -> float | None:
    """How far from the begin to the end of the chart's time a moment is; None outside of it."""
    moments = chart.moments
    if not moments:
        return None
    begin, end = moments[0].timestamp(), (moments[-1] + _length(chart)).timestamp()
    part = (at.timestamp() - begin) / (end - begin)
    return part if 0 <= part <= 1 else None


def _length(chart: Chart) -> timedelta:
    moments = chart.moments
    return chart.every or (moments[1] - moments[0] if len(moments) > 1 else timedelta(minutes=1))


def _place(of: datetime | str, part: float) -> Place:
    return Place(of, _number(part * WIDTH), f"{_number(part * 100)}%")


def _y(value: float, top: float) -> float:
    return HEIGHT - HEIGHT * value / top


def _number(value: float) -> str:
    """As SVG reads it, whatever the reader's language writes for a point."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
