"""Where the lines and bars of a chart stand, and the axes beside them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy.chart import HEIGHT, WIDTH, Chart, Mark, Series, draw, scale, time_places

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
UNITS = ("count", "per cent", "ms", "seconds")
values = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=40)


def minutes(count: int) -> list[datetime]:
    return [NOON + MINUTE * number for number in range(count)]


def a_chart(*series: list[float | None], **facts: object) -> Chart:
    named = [Series(f"series {number}", each) for number, each in enumerate(series)]
    return Chart("Throughput", minutes(len(series[0])), named, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("highest", "unit", "axis"),
    [
        (0, "count", [0, 1]),
        (1, "count", [0, 1]),
        (3, "count", [0, 1, 2, 3]),
        (41, "count", [0, 20, 40, 60]),
        (4_000_000, "count", [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]),
        (100, "per cent", [0, 50, 100]),
        (1200, "ms", [0, 500, 1000, 1500]),
        (70_000, "ms", [0, 30_000, 60_000, 90_000]),
        (4000, "seconds", [0, 1800, 3600, 5400]),
        (9e6, "seconds", [0, 4_320_000, 8_640_000, 12_960_000]),
    ],
)
def test_an_axis_goes_in_steps_that_people_read(highest: float, unit: str, axis: list[float]) -> None:
    assert scale(highest, unit=unit) == axis


@given(st.floats(0, 1e12), st.sampled_from(UNITS))
def test_an_axis_has_few_even_steps_and_holds_all(highest: float, unit: str) -> None:
    axis = scale(highest, unit=unit)
    assert axis[0] == 0
    assert axis[-1] >= highest
    assert 2 <= len(axis) <= 5
    assert len({after - before for before, after in pairwise(axis)}) == 1


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.integers(1, 14 * 7 * 24 * 60),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
)
def test_times_stand_at_round_places_within(begin: datetime, length: int, zone: str) -> None:
    begin = begin.replace(tzinfo=ZoneInfo(zone))
    end = begin + MINUTE * length
    found = time_places(begin, end)
    assert len(found) <= 7
    assert all(begin <= at < end for at in found)
    assert all(at.second == 0 and at.microsecond == 0 for at in found)
    if length >= 24 * 60 * 7:
        assert all((at.hour, at.minute) == (0, 0) for at in found)


def test_an_hour_has_a_place_each_ten_minutes() -> None:
    assert [at.minute for at in time_places(NOON, NOON + 60 * MINUTE)] == [0, 10, 20, 30, 40, 50]


def test_a_line_goes_through_the_middle_of_its_slices() -> None:
    line = draw(a_chart([0, 2])).lines[0]
    assert line.path == f"M150 {HEIGHT}L450 0"


def test_what_is_not_known_is_a_gap_and_a_value_alone_a_dot() -> None:
    line = draw(a_chart([1, None, 1, 1])).lines[0]
    assert (line.dots, line.path) == ("M75 0h0", "M375 0L525 0")


def test_lines_differ_in_more_than_their_colour() -> None:
    assert len({line.dash for line in draw(a_chart([1], [1], [1], [1])).lines}) == 4


def test_bars_stand_on_one_another_and_what_is_little_is_seen() -> None:
    drawing = draw(a_chart([3, 1000, 0], [1, None, 0], bars=True))
    assert [(float(bar.y), float(bar.height)) for bar in drawing.bars] == [(119, 1), (118.64, 1), (0, 120)]
    assert drawing.lines == []


@given(values, values, st.booleans())
def test_everything_stands_within_the_plot(first: list[float | None], second: list[float | None], bars: bool) -> None:
    count = min(len(first), len(second))
    drawing = draw(a_chart(first[:count], second[:count], bars=bars))
    for bar in drawing.bars:
        assert -2 <= float(bar.y) <= HEIGHT
        assert 0 <= float(bar.x) <= float(bar.x) + float(bar.width) <= WIDTH + 0.02
    for line in drawing.lines:
        points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) (-?[\d.]+)", line.path + line.dots)]
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert len(drawing.slices) == count
    assert [each.values for each in drawing.slices] == list(zip(first, second, strict=False))[:count]


def test_marks_stand_where_they_happened_and_those_outside_are_left_out() -> None:
    marks = [Mark(NOON + 30 * MINUTE, "r124"), Mark(NOON - MINUTE, "r123"), Mark(NOON + 61 * MINUTE, "r125")]
    drawing = draw(a_chart([1.0] * 60, marks=marks))
    assert [(mark.name, place.x, place.percent) for mark, place in drawing.marks] == [("r124", "300", "50%")]


def test_words_are_named_as_many_as_there_is_room_for() -> None:
    words = [f"≤ {number} s" for number in range(12)]
    drawing = draw(Chart("Wait", words, [Series("runs", [1.0] * 12)], bars=True))
    assert [place.of for place in drawing.places] == words[::2]


def test_a_chart_of_nothing_can_be_drawn() -> None:
    for over in ([], [NOON], ["one"]):
        chart = Chart("Nothing", over, [Series("runs", [0.0] * len(over))])
        assert chart.is_empty
        assert len(draw(chart).slices) == len(over)
