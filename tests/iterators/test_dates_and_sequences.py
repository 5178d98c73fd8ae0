"""Days, weeks, months and sequences from any cursor on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import BadOptions, SourceChanged
from jobs.iterators import Span, days, days_of, items, items_of, months, months_of, weeks, weeks_of
from jobs.registry import Job
from jobs.testing import drain
from tests import engine

make_job = engine.make_job

DATES = st.dates(date(1999, 1, 1), date(2032, 12, 31))


@settings(max_examples=60)
@given(first=DATES, length=st.integers(-2, 400))
def test_weeks_and_months_have_each_day_of_the_range_once(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    expected = [first + timedelta(days=number) for number in range(length + 1)]
    assert [day for _, day in days(first, last, None)] == expected
    for spans in (weeks, months):
        pairs = list(spans(first.isoformat(), last.isoformat(), None))
        covered = [
            span.first + timedelta(days=number)
            for _, span in pairs
            for number in range((span.last - span.first).days + 1)
        ]
        assert covered == expected
        for done, (cursor, _) in enumerate(pairs, start=1):
            assert list(spans(first, last, cursor)) == pairs[done:]


def test_weeks_begin_on_monday_and_months_on_their_first_day() -> None:
    all_weeks = [span for _, span in weeks("2026-05-06", "2026-05-19", None)]
    assert all_weeks == [
        Span(date(2026, 5, 6), date(2026, 5, 10)),
        Span(date(2026, 5, 11), date(2026, 5, 17)),
        Span(date(2026, 5, 18), date(2026, 5, 19)),
    ]
    assert [span.last.day for _, span in months("2027-12-01", "2028-03-31", None)] == [31, 31, 29, 31]


@pytest.mark.parametrize("bad", [datetime(2026, 5, 4), "4 May", 7, None])
def test_what_is_no_date_is_refused(bad: Any) -> None:
    with pytest.raises(BadOptions, match="give a date"):
        list(days(bad, "2026-05-05", None))


def test_what_are_not_two_dates_is_refused() -> None:
    with pytest.raises(BadOptions, match="give two dates"):
        list(days_of(lambda: "2026-05-05")(cursor=None))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(("over", "count"), [(days_of, 43), (weeks_of, 7), (months_of, 3)])
def test_how_many_there_are_is_known(over: Callable[..., Any], count: int) -> None:
    assert over(lambda first, last: (first, last)).total("2026-04-30", "2026-06-11") == count


@pytest.mark.django_db(transaction=True)
def test_a_job_goes_through_days_of_its_arguments(make_job: Callable[..., Job[..., Any]]) -> None:
    seen: list[date] = []
    fails = [True]

    def count_sales(day: date, first: str, last: str) -> None:
        seen.append(day)
        if day.day == 1 and fails:
            fails.pop()
            raise RuntimeError("not now")

    over = days_of(lambda first, last: (first, last))
    run = make_job(count_sales, iterates=over, retry=2).enqueue("2026-04-30", "2026-05-02")
    drain(due=True)
    assert [f"{day:%d}" for day in seen] == ["30", "01", "01", "02"]
    assert run.result == 3


@pytest.mark.parametrize("sequence", [range(3, 9, 2), ["a", "b", "c"], ("a", None, {"x": 1}), [], [date(2026, 5, 4)]])
def test_a_sequence_is_gone_through_from_any_place(sequence: Any) -> None:
    pairs = [(json.loads(json.dumps(cursor)), item) for cursor, item in items(sequence, None)]
    assert [item for _, item in pairs] == list(sequence)
    for done, (cursor, _) in enumerate(pairs, start=1):
        assert [item for _, item in items(sequence, cursor)] == list(sequence)[done:]


def test_more_at_the_end_of_a_sequence_does_no_harm() -> None:
    cursor = [cursor for cursor, _ in items(["de", "fr"], None)][-1]
    assert [item for _, item in items(["de", "fr", "it"], cursor)] == ["it"]


@pytest.mark.parametrize("changed", [["at", "de", "fr"], ["de"], []])
def test_another_item_at_the_cursor_is_refused(changed: list[str]) -> None:
    cursor = [cursor for cursor, _ in items(["de", "fr"], None)][-1]
    with pytest.raises(SourceChanged, match="at place 1"):
        next(items(changed, cursor))


@pytest.mark.parametrize("bad", [{1, 2}, {"a": 1}, "text", b"bytes", iter([1]), 7])
def test_what_has_no_places_is_refused(bad: Any) -> None:
    with pytest.raises(BadOptions, match="give a list, a tuple or a range"):
        next(items(bad, None))
    with pytest.raises(BadOptions, match="give a list, a tuple or a range"):
        items_of(lambda: bad).total()


def test_a_job_goes_through_a_range_of_its_arguments(make_job: Callable[..., Job[..., Any]]) -> None:
    seen: list[int] = []
    over = items_of(lambda first, last: range(first, last + 1))
    assert make_job(lambda number, first, last: seen.append(number), iterates=over)(3, 5) == 3
    assert (seen, over.total(3, 5)) == ([3, 4, 5], 3)
