"""Cron expressions in words, and what is said of due times about which the clock does something odd."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.errors import BadSchedule
from jobs.policy.cron import Cron
from jobs.policy.cron_words import due_times, in_words

HOUR = timedelta(hours=1)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 3 * * *", "At 03:00"),
        ("@daily", "At 00:00"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("30 14 * * mon-fri", "At 14:30, Monday through Friday"),
        ("0 9 1 * 5", "At 09:00, on day 1 of the month, or on Friday"),
        ("0 0 l * *", "At 00:00, on the last day of the month"),
        ("0 9 * * 5#2", "At 09:00, on the second Friday of the month"),
    ],
)
def test_an_expression_is_said_in_words(expression: str, words: str) -> None:
    assert in_words(expression) == words


@pytest.mark.parametrize(
    ("language", "words"), [("de", "Um 03:00"), ("de-at", "Um 03:00"), ("eo", "At 03:00"), ("", "At 03:00")]
)
def test_the_words_are_in_the_readers_language_where_it_is_known(language: str, words: str) -> None:
    assert in_words("0 3 * * *", language) == words


def test_what_is_no_expression_has_no_words() -> None:
    with pytest.raises(BadSchedule, match="Write five fields"):
        in_words("61 * * *")


def marks(expression: str, after: str, *, zone: str = BERLIN) -> list[tuple[str, timedelta, bool, bool]]:
    found = due_times(Cron(expression, zone), datetime.fromisoformat(after), 3)
    return [(f"{one.at:%d %H:%M %z}", one.change, one.is_leapt, one.is_twice) for one in found]


def test_a_time_that_the_clock_leaps_over_is_marked() -> None:
    assert marks("30 2 * * *", "2026-03-27T12:00+00:00") == [
        ("28 02:30 +0100", 0 * HOUR, False, False),
        ("29 03:00 +0200", HOUR, True, False),
        ("30 02:30 +0200", 0 * HOUR, False, False),
    ]


def test_a_time_that_the_clock_shows_twice_is_marked() -> None:
    assert marks("30 2 * * *", "2026-10-24T12:00+00:00") == [
        ("25 02:30 +0200", 0 * HOUR, False, True),
        ("26 02:30 +0100", -HOUR, False, False),
        ("27 02:30 +0100", 0 * HOUR, False, False),
    ]


def test_an_interval_that_goes_through_is_marked_where_the_clock_was_set() -> None:
    assert marks("30 * * * *", "2026-10-25T00:00+00:00") == [
        ("25 02:30 +0200", 0 * HOUR, False, False),
        ("25 02:30 +0100", -HOUR, False, False),
        ("25 03:30 +0100", 0 * HOUR, False, False),
    ]


def test_an_ordinary_day_has_no_marks() -> None:
    assert [mark[1:] for mark in marks("0 3 * * *", "2026-05-01T00:00+00:00")] == [(0 * HOUR, False, False)] * 3
