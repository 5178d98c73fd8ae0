"""What people type as comparisons, what spreadsheets are given, and which secrets an edited argument keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.comparing import Comparison, compared_count, compared_length
from jobs.policy.csv_cells import cell
from jobs.policy.lifeline import lifeline
from jobs.policy.redaction import MASK, mask
from jobs.policy.unmasking import StillMasked, unmasked

ASKED = datetime(2026, 5, 3, 12, tzinfo=UTC)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "token", "note"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        (">30s", Comparison("gt", 30_000)),
        (">=1m30s", Comparison("gte", 90_000)),
        ("<250ms", Comparison("lt", 250)),
        ("<= 2h", Comparison("lte", 7_200_000)),
        (">1.5", Comparison("gt", 1500)),
        (">99999999s", Comparison("gt", 2**31 - 1)),
    ],
)
def test_a_length_is_compared_in_milliseconds(text: str, comparison: Comparison) -> None:
    assert compared_length(text) == comparison


@pytest.mark.parametrize("text", ["30s", ">", ">soon", ">-1s", "=>2s", ""])
def test_what_is_no_comparison_of_lengths_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"comparison|age"):
        compared_length(text)


@pytest.mark.parametrize(("text", "comparison"), [(">2", Comparison("gt", 2)), ("3", Comparison("exact", 3))])
def test_a_count_is_compared_as_it_stands(text: str, comparison: Comparison) -> None:
    assert compared_count(text) == comparison
    with pytest.raises(ValueError, match="comparison"):
        compared_count(f"{text}s")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_in_a_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_numbers_and_other_texts_stay_as_they_are_in_a_cell() -> None:
    assert [cell(value) for value in (-5, "a=b", '{"a": 1}', None)] == ["-5", "a=b", '{"a": 1}', ""]


@settings(max_examples=60)
@given(VALUES)
def test_what_nobody_touched_keeps_its_secrets(real: Any) -> None:
    shown = mask(real)
    assert unmasked(shown, shown=shown, real=real) == real


def test_a_change_beside_a_secret_keeps_it() -> None:
    real = {"card": {"token": "tok_1", "id": 7}, "items": [{"api_key": "a"}, {"api_key": "b"}]}
    edited = mask(real)
    edited["card"]["id"] = 8
    edited["items"][1] = {"api_key": MASK, "count": 2}
    assert unmasked(edited, shown=mask(real), real=real) == {
        "card": {"token": "tok_1", "id": 8},
        "items": [{"api_key": "a"}, {"api_key": "b", "count": 2}],
    }


@pytest.mark.parametrize("edited", [{"note": MASK}, {"token": "x", "note": f"is {MASK}"}, {"token": [MASK]}])
def test_a_mask_that_was_moved_is_refused(edited: Any) -> None:
    with pytest.raises(StillMasked):
        unmasked(edited, shown={"token": MASK, "note": "n"}, real={"token": "t", "note": "n"})


def test_a_secret_that_was_typed_anew_is_the_new_one() -> None:
    assert unmasked({"token": "new"}, shown={"token": MASK}, real={"token": "old"}) == {"token": "new"}


def test_a_life_is_a_wait_an_attempt_a_wait_and_an_attempt() -> None:
    def at(seconds: int) -> datetime:
        return ASKED + timedelta(seconds=seconds)

    life = lifeline(ASKED, at(100), [(at(50), at(60)), (at(90), at(100))], width=100, least=1)
    assert life
    assert [(each.kind, each.x, each.width) for each in life.stretches] == [
        ("waited", 0, 50),
        ("ran", 50, 10),
        ("waited", 60, 30),
        ("ran", 90, 10),
    ]
    assert (life.waited.total_seconds(), life.ran.total_seconds()) == (80, 20)


def test_the_time_in_which_a_run_lay_dead_is_no_wait() -> None:
    def at(seconds: int) -> datetime:
        return ASKED + timedelta(seconds=seconds)

    life = lifeline(ASKED, at(100), [(at(10), at(20)), (at(90), at(100))], [(at(20), at(85))], width=100, least=1)
    assert life
    assert [each.kind for each in life.stretches] == ["waited", "ran", "dead", "waited", "ran"]
    assert [part.total_seconds() for part in (life.waited, life.ran, life.dead)] == [15, 20, 65]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-50, 500), st.integers(0, 100)), max_size=6), st.integers(1, 400))
def test_the_stretches_of_a_life_fill_its_bar_without_a_gap(attempts: list[tuple[int, int]], length: int) -> None:
    spans = [(ASKED + timedelta(seconds=at), ASKED + timedelta(seconds=at + took)) for at, took in attempts]
    life = lifeline(ASKED, ASKED + timedelta(seconds=length), spans[::2], spans[1::2], width=600, least=3)
    assert life
    assert life.waited + life.ran + life.dead == timedelta(seconds=length)
    x = 0.0
    for each in life.stretches:
        assert each.x == pytest.approx(x, abs=0.05)
        assert each.width >= 0
        x += each.width
    assert x == pytest.approx(600, abs=0.1)
