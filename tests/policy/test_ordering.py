"""Weighted orders: by weight in the long run, and everybody is in."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobs.policy.ordering import weighted

WEIGHTS = {"critical": 6, "default": 3, "low": 1}


def test_each_queue_comes_first_as_often_as_its_weight_says():
    dice = random.Random(7)
    firsts = Counter(weighted(WEIGHTS, dice.random)[0] for _ in range(20_000))
    for queue, weight in WEIGHTS.items():
        assert abs(firsts[queue] / 20_000 - weight / 10) < 0.02


def test_of_the_rest_each_comes_next_as_often_as_its_weight_says():
    dice = random.Random(7)
    orders = [weighted(WEIGHTS, dice.random) for _ in range(20_000)]
    after_critical = [order[1] for order in orders if order[0] == "critical"]
    assert abs(after_critical.count("default") / len(after_critical) - 3 / 4) < 0.02


@given(
    st.dictionaries(st.text(max_size=5), st.integers(1, 999_999), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_every_queue_is_in_the_order_once(weights, dice):
    assert sorted(weighted(weights, dice.random)) == sorted(weights)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3))
def test_no_dice_are_too_extreme(rolls):
    assert sorted(weighted(WEIGHTS, iter(rolls).__next__)) == sorted(WEIGHTS)
