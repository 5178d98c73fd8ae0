"""Rates as people type them."""

from __future__ import annotations

import pytest

from jobs.policy.rates import parse_rate


@pytest.mark.parametrize(
    ("text", "per_second"), [("5/s", 5), ("30/m", 0.5), (" 1 / H ", 1 / 3600), ("999999/s", 999_999)]
)
def test_a_rate_is_so_many_in_a_second(text, per_second):
    assert parse_rate(text) == per_second


@pytest.mark.parametrize("text", ["", "5", "0/s", "-1/s", "1.5/s", "5/d", "1000000/s", "5/s/s", "five/s"])
def test_what_is_no_rate_is_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match=r"such as 5/s or 30/m"):
        parse_rate(text)
