"""Days and months as plain strings, as jobs get them. Reads no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo


class NotAPeriod(ValueError):
    """A string that names no day or month."""


@dataclass(frozen=True)
class Period:
    """The days from `first` on, up to and without `until`."""

    first: date
    until: date

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """When it begins, and when it is over."""
        return datetime.combine(self.first, time.min, zone), datetime.combine(self.until, time.min, zone)


def day(text: str) -> Period:
    """
    >>> day("2026-05-17").until
    datetime.date(2026, 5, 18)
    """
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise NotAPeriod(f'"{text}" is no day; write it as 2026-05-17.') from error
    return Period(found, found + timedelta(days=1))


def month(text: str) -> Period:
    """
    >>> month("2026-12")
    Period(first=datetime.date(2026, 12, 1), until=datetime.date(2027, 1, 1))
    """
    if not re.fullmatch(r"\d{4}-\d{2}", text):
        raise NotAPeriod(f'"{text}" is no month; write it as 2026-05.')
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise NotAPeriod(f'"{text}" is no month; write it as 2026-05.') from error
    return Period(first, _next_month(first))


def month_before(today: date) -> str:
    """The last month that is over.

    >>> month_before(date(2026, 1, 15))
    '2025-12'
    """
    return f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)
