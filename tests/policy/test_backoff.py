"""How long waits are."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import RetryPolicy, delays, exponential, fixed, linear, polynomial
from jobs.errors import BadOptions
from jobs.policy.outcome import Raised
from jobs.policy.retry import Retry, judge

attempts = st.integers(min_value=1, max_value=10_000)


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (polynomial(), [16, 31, 96, 271, 640]),
        (polynomial(2, offset=0), [1, 4, 9, 16, 25]),
        (polynomial(cap=100), [16, 31, 96, 100, 100]),
        (exponential(), [15, 30, 60, 120, 240]),
        (exponential(first=10, cap=60), [10, 20, 40, 60, 60]),
        (exponential(1, first=7), [7, 7, 7, 7, 7]),
        (linear(30, cap=100), [30, 60, 90, 100, 100]),
        (fixed(5), [5, 5, 5, 5, 5]),
        (delays([1, 10, 60]), [1, 10, 60, 60, 60]),
    ],
)
def test_a_backoff_waits_as_its_docstring_says(wait, expected):
    assert [wait(count) for count in (1, 2, 3, 4, 5)] == expected


def test_an_empty_list_of_delays_is_refused_where_it_is_written():
    with pytest.raises(BadOptions, match="attempts=1"):
        delays([])


@pytest.mark.parametrize(("roll", "days"), [(0.0, 20.0), (1.0, 22.6)])
def test_twenty_five_attempts_take_about_three_weeks(roll, days):
    policy = RetryPolicy()
    verdicts = [judge(Raised(OSError()), policy, attempt=n, crashes=0, roll=roll) for n in range(1, 26)]
    waits = [verdict.seconds for verdict in verdicts[:-1]]
    assert len(waits) == 24
    assert timedelta(seconds=sum(waits)) == pytest.approx(timedelta(days=days), abs=timedelta(days=0.6))
    assert verdicts[-1].name == "bury"


@given(count=attempts, cap=st.floats(min_value=1, max_value=1e6))
def test_no_wait_is_longer_than_its_cap(count, cap):
    for wait in (polynomial(cap=cap), exponential(cap=cap), linear(cap=cap)):
        assert 0 <= wait(count) <= cap


@given(count=attempts)
def test_waits_never_become_shorter(count):
    for wait in (polynomial(), exponential(), linear(), fixed(3), delays([1, 2, 3])):
        assert wait(count) <= wait(count + 1)


@pytest.mark.parametrize(
    ("wait", "written", "words"),
    [
        (polynomial(), "polynomial(4, offset=15, cap=2592000)", "failures to the power of 4, and 15 s, up to 30 days"),
        (exponential(), "exponential(2, first=15, cap=3600)", "15 s, then 2 times longer each time, up to 1 h"),
        (linear(), "linear(60, cap=3600)", "1 min longer each time, up to 1 h"),
        (fixed(2.5), "fixed(2.5)", "2.5 s each time"),
        (delays([1, 90]), "delays([1, 90])", "1 s, 1 min 30 s; the last serves all later ones"),
    ],
)
def test_a_backoff_prints_itself_as_it_is_written_and_says_what_it_does(wait, written, words):
    assert (repr(wait), str(wait)) == (written, words)
    assert eval(written) == wait


@given(base=st.floats(0, 1e300), first=st.floats(0, 1e300), cap=st.floats(0, 1e300), count=attempts)
def test_no_number_makes_a_backoff_fail_or_pass_its_cap(base, first, cap, count):
    waits = (exponential(base, first=first, cap=cap), linear(base, cap=cap), polynomial(base, offset=first, cap=cap))
    assert all(0 <= wait(count) <= cap for wait in waits)


@given(count=attempts, jitter=st.floats(min_value=0, max_value=1), roll=st.floats(min_value=0, max_value=1))
def test_jitter_only_adds_and_adds_no_more_than_its_share(count, jitter, roll):
    policy = RetryPolicy(attempts=20_000, backoff=fixed(60), jitter=jitter)
    verdict = judge(Raised(OSError()), policy, attempt=count, crashes=0, roll=roll)
    assert isinstance(verdict, Retry)
    assert 60 <= verdict.seconds <= 60 * (1 + jitter) + 1e-9


@pytest.mark.parametrize(
    "make",
    [
        lambda: fixed(-1),
        lambda: fixed(float("nan")),
        lambda: fixed("5"),
        lambda: fixed(True),
        lambda: linear(-1),
        lambda: exponential(first=-2),
        lambda: exponential(cap="x"),
        lambda: polynomial(offset=float("inf")),
        lambda: delays([1, -1]),
    ],
)
def test_what_is_no_number_of_seconds_is_refused_when_the_module_is_imported(make):
    with pytest.raises(BadOptions, match="pass a number from 0"):
        make()


@pytest.mark.parametrize(
    ("choices", "cure"),
    [
        ({"backoff": 5}, "pass a back-off such as fixed"),
        ({"jitter": "x"}, "pass a share of the wait"),
        ({"jitter": True}, "pass a share of the wait"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_with_the_cure(choices, cure):
    with pytest.raises(BadOptions, match=cure):
        RetryPolicy(**choices)


def test_jitter_spreads_the_retries_of_an_outage_evenly():
    dice = random.Random(7)
    verdicts = [
        judge(Raised(OSError()), RetryPolicy(), attempt=5, crashes=0, roll=dice.random()) for _ in range(20_000)
    ]
    seconds = Counter(int(verdict.seconds) for verdict in verdicts)
    # 640 s and up to a tenth more.
    assert (min(seconds), max(seconds)) == (640, 703)
    assert max(seconds.values()) < 1.3 * 20_000 / 64
