"""Tokens are new each time, and their numbers tell which came first."""

from __future__ import annotations

import pytest

from jobs.worker.tokens import Tokens, number_of


def test_numbers_rise_and_tokens_are_never_the_same():
    tokens = Tokens()
    made = [*tokens.fresh(3), *tokens.fresh(2), *Tokens().fresh(5)]
    assert [number_of(token) for token in made] == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert len(set(made)) == 10


@pytest.mark.parametrize("token", ["", "12", "cafe", "cafe-", "cafe-x", "-", "cafe-\u00b2"])
def test_a_token_of_somebody_else_has_no_number(token):
    assert number_of(token) == 0
