"""How far a run is, as values: what is written is read back, and rates are of the latest minute."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.progress import Pace, Progress, pace, read

AMOUNTS = st.one_of(st.integers(0, 2**53), st.floats(0, 2.0**53, allow_nan=False))


@settings(max_examples=60)
@given(
    done=AMOUNTS,
    total=st.none() | AMOUNTS,
    message=st.text(max_size=200),
    unit=st.text(max_size=20),
    rate=st.none() | AMOUNTS,
    at=st.floats(0, 2.0**31),
)
def test_what_is_written_is_read_back(
    done: float, total: float | None, message: str, unit: str, rate: float | None, at: float
) -> None:
    progress = Progress(done, total, message, unit, rate, at)
    assert read(progress.dump()) == progress
    assert progress.share is None or 0 <= progress.share <= 1
    assert progress.seconds_left is None or progress.seconds_left >= 0
    assert str(progress)


@pytest.mark.parametrize(
    "damaged",
    [
        *(None, "", "{}", "[]", "7", "[1]", "[1e999]", '[1,2,"",""]', '["1",2,"","",null,0]', '[null,2,"","",null,0]'),
        *('[1,2,"","",null,null]', '[-1,2,"","",null,0]', '[true,2,"","",null,0]', '[1,2,3,"",null,0]'),
        *('[1,2,"","",null,9e15]', '[1,2,"","",1e300,0]', '[1,2,"",7,null,0]', '[NaN,2,"","",null,0]'),
        pytest.param("[" * 10_000, id="deep"),
    ],
)
def test_what_is_damaged_is_nothing(damaged: str | None) -> None:
    assert read(damaged) is None


@settings(max_examples=60)
@given(step=st.floats(0.1, 1000), seconds=st.integers(2, 300))
def test_a_steady_pace_is_its_rate(step: float, seconds: int) -> None:
    going = Pace()
    for second in range(seconds):
        going.note(step * second, at=1000 + second)
    assert going.rate == pytest.approx(step)


def test_what_was_slow_an_hour_ago_does_not_count() -> None:
    going = Pace()
    for second in range(3600):
        going.note(second, at=second)
    for second in range(90):
        going.note(3600 + 10 * second, at=3600 + second)
    assert going.rate == pytest.approx(10)


def test_what_was_fast_before_a_pause_fades() -> None:
    going = Pace()
    for second in range(10):
        going.note(100 * second, at=second)
    going.note(901, at=70)
    assert going.rate is not None
    assert going.rate < 20


def test_less_than_before_begins_anew() -> None:
    going = Pace()
    for second in range(10):
        going.note(100 + second, at=second)
    going.note(0, at=10)
    assert going.rate is None
    going.note(5, at=11)
    assert going.rate == 5


@pytest.mark.parametrize(
    ("rate", "words"), [(None, ""), (0.0, ""), (3.5, "3.5/s"), (0.25, "15/min"), (2e6, "2,000,000/s")]
)
def test_rates_in_words(rate: float | None, words: str) -> None:
    assert pace(rate) == words
