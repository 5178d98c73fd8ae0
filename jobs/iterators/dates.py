"""Days, weeks and months of a range, both ends included. The cursor is the last day that is done. Reads no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from jobs.errors import BadOptions
from jobs.iterators.over import Over

Day = date | str
# The two ends, as dates or as a job's arguments have them: "2026-05-04".
Range = tuple[Day, Day]

_DAY = timedelta(days=1)


class Span(NamedTuple):
    """Some days, both ends included."""

    first: date
    last: date


def days(first: Day, last: Day, cursor: Any) -> Iterator[tuple[str, date]]:
    """Each day of a range, from behind `cursor` on."""
    return ((cursor, span.first) for cursor, span in _spans(first, last, cursor, lambda day: day))


def weeks(first: Day, last: Day, cursor: Any) -> Iterator[tuple[str, Span]]:
    """Each week of a range, from Monday to Sunday, as far as the range goes."""
    return _spans(first, last, cursor, _end_of_week)


def months(first: Day, last: Day, cursor: Any) -> Iterator[tuple[str, Span]]:
    """Each month of a range, as far as the range goes.

    >>> [f"{span.first} {span.last}" for _, span in months("2026-01-30", "2026-03-02", None)]
    ['2026-01-30 2026-01-31', '2026-02-01 2026-02-28', '2026-03-01 2026-03-02']
    """
    return _spans(first, last, cursor, _end_of_month)


def days_of(of: Callable[..., Range]) -> Over[date]:
    """For `iterates=`: each day of the range that `of` gives for the job's arguments: two dates, or their texts.

    @job(iterates=days_of(lambda first, last: (first, last)))
    def count_sales(day, first, last): ...
    """
    return Over(of, lambda ends, cursor: days(*_two(ends), cursor), name="days_of", count=_counter(lambda day: day))


def weeks_of(of: Callable[..., Range]) -> Over[Span]:
    """For `iterates=`: each week. See `weeks`."""
    return Over(of, lambda ends, cursor: weeks(*_two(ends), cursor), name="weeks_of", count=_counter(_end_of_week))


def months_of(of: Callable[..., Range]) -> Over[Span]:
    """For `iterates=`: each month. See `months`."""
    return Over(of, lambda ends, cursor: months(*_two(ends), cursor), name="months_of", count=_counter(_end_of_month))


def _spans(first: Day, last: Day, cursor: Any, end: Callable[[date], date]) -> Iterator[tuple[str, Span]]:
    day, until = _date(first), _date(last)
    if cursor is not None:
        day = max(day, _date(cursor) + _DAY)
    while day <= until:
        span = Span(day, min(end(day), until))
        yield span.last.isoformat(), span
        day = span.last + _DAY


def _end_of_week(day: date) -> date:
    return day + timedelta(days=6 - day.weekday())


def _end_of_month(day: date) -> date:
    next_one = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return next_one - _DAY


def _counter(end: Callable[[date], date]) -> Callable[[Range], int]:
    return lambda ends: sum(1 for _ in _spans(*_two(ends), None, end))


def _two(ends: Any) -> Range:
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise BadOptions(f"{ends!r:.100}: give two dates, the first and the last one")
    return ends[0], ends[1]


def _date(day: Day) -> date:
    if isinstance(day, date) and not isinstance(day, datetime):
        return day
    try:
        return date.fromisoformat(day)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BadOptions(f'{day!r:.100}: give a date, or its text, such as "2026-05-04"') from error
