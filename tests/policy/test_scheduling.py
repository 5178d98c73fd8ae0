"""What follows of a schedule's terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import BadSchedule
from jobs.policy import scheduling
from jobs.policy.cron import Passed
from jobs.policy.scheduling import FIELDS, Terms, all_up_to, changed, differences, digest, jitter_of

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def terms(**said: object) -> Terms:
    return changed(Terms("a.job", "* * * * *", "UTC"), said)


@given(
    st.integers(1, 400),
    st.sampled_from(["once", "skip", "all"]),
    st.integers(1, 50),
    st.integers(0, 600),
    st.integers(0, 600),
)
@settings(max_examples=60)
def test_of_what_passed_as_many_run_as_the_policy_says(
    count: int, missed: str, most: int, grace: int, age: int
) -> None:
    said = terms(missed=missed, most_missed=most, grace=grace)
    latest = NOW - timedelta(seconds=age)
    times = [latest - timedelta(minutes=number) for number in range(count)][::-1]
    kept = tuple(times[-scheduling.most_to_run(said) - 1 :])
    chosen = scheduling.to_run(Passed(count, False, times[0], kept), said, now=NOW)
    expected = {"once": 1, "skip": 1 if age <= grace else 0, "all": min(most, count)}[missed]
    assert list(chosen) == (times[-expected:] if expected else [])


@pytest.mark.parametrize(
    ("overlap", "pending", "waiting", "verdict"),
    [
        ("allow", True, 0, "ask"),
        ("skip", False, 0, "ask"),
        ("skip", True, 0, "skip"),
        ("queue", False, 0, "ask"),
        ("queue", True, 0, "wait"),
        ("queue", True, 2, "wait"),
        ("queue", False, 1, "wait"),
        ("queue", True, 3, "skip"),
    ],
)
def test_a_due_time_that_finds_the_run_before_it_does_as_it_was_said(
    overlap: str, pending: bool, waiting: int, verdict: str
) -> None:
    assert scheduling.on_overlap(terms(overlap=overlap, most_waiting=3), pending=pending, waiting=waiting) == verdict


def test_jitter_spreads_over_its_whole_length_and_differs_by_schedule_and_time() -> None:
    times = [NOW + timedelta(minutes=number) for number in range(200)]
    drawn = [jitter_of("reports", due, 60).total_seconds() for due in times]
    assert all(0 <= one < 60 for one in drawn)
    assert max(drawn) - min(drawn) > 50
    assert drawn != [jitter_of("letters", due, 60).total_seconds() for due in times]


def test_code_that_says_the_same_has_the_same_digest() -> None:
    assert digest({"a": terms(), "b": terms()}) == digest({"b": terms(), "a": terms()})
    assert digest({"a": terms()}) != digest({"a": terms(jitter=1)})
    assert digest({"a": terms()}) != digest({"b": terms()})


def test_terms_are_told_apart_by_name() -> None:
    one, other = terms(), terms(jitter=5, overlap="skip")
    assert differences(one.as_json(), other.as_json()) == ["overlap", "jitter"]
    assert changed(one, {"jitter": 5}).jitter == 5
    assert tuple(one.as_json()) == FIELDS


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "3", 1001])
def test_all_missed_ones_have_a_number(most: object) -> None:
    with pytest.raises(BadSchedule, match="whole number from 1 to 1000"):
        all_up_to(most)  # type: ignore[arg-type]
