"""Durations counted in doubling buckets: where they fall, and what percentiles can be told from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy.histogram import BUCKETS, bucket_of, end_ms, percentile_ms

durations = st.integers(min_value=0, max_value=2**22 - 1)


def counted(values: list[int]) -> list[int]:
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket_of(value)] += 1
    return counts


@pytest.mark.parametrize(
    ("ms", "bucket"),
    [(-5, 0), (0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (999, 10), (1023, 10), (1024, 11), (2**22, 23), (2**40, 23)],
)
def test_a_duration_falls_into_its_bucket(ms: int, bucket: int) -> None:
    assert bucket_of(ms) == bucket


@given(durations)
def test_a_bucket_holds_what_is_below_its_end_and_not_below_the_end_before(ms: int) -> None:
    bucket = bucket_of(ms)
    end, before = end_ms(bucket), end_ms(bucket - 1) if bucket else 0
    assert end is not None
    assert before is not None
    assert before <= ms < end


def test_the_last_bucket_has_no_end() -> None:
    assert end_ms(BUCKETS - 1) is None
    assert percentile_ms(counted([2**30]), 50) == 2.0**22


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile_ms([], 50) is None
    assert percentile_ms([0] * BUCKETS, 99) is None


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([1, 25, 50, 90, 95, 99, 100]))
def test_an_estimate_is_off_by_a_factor_of_two_at_the_most(values: list[int], percent: int) -> None:
    # The smallest value that so many percent do not exceed.
    exact = sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
    estimate = percentile_ms(counted(values), percent)
    assert estimate is not None
    assert estimate / 2 <= exact <= max(1, estimate) * 2


@given(st.lists(durations, min_size=1, max_size=200))
def test_a_higher_percentile_is_no_less(values: list[int]) -> None:
    estimates = [percentile_ms(counted(values), percent) or 0.0 for percent in range(1, 101)]
    assert estimates == sorted(estimates)


@given(st.lists(durations), st.lists(durations, min_size=1))
def test_counts_can_be_added(some: list[int], others: list[int]) -> None:
    added = [one + other for one, other in zip(counted(some), counted(others), strict=True)]
    assert percentile_ms(added, 95) == percentile_ms(counted(some + others), 95)
