"""Durations counted in buckets that double, and percentiles estimated from them. Reads no clock.

Bucket 0 is under 1 ms; bucket n is from 2ⁿ⁻¹ up to 2ⁿ ms: 1 ms, 2 to 3 ms, 4 to 7 ms … The last has no end and begins
at 70 minutes. Counts of the same bucket can be added, over minutes, jobs and queues, before a percentile is asked for;
percentiles cannot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BUCKETS = 24


def bucket_of(ms: int) -> int:
    """The bucket that a whole number of milliseconds falls into.

    >>> [bucket_of(ms) for ms in (0, 1, 2, 3, 4, 1000, 10**9)]
    [0, 1, 2, 2, 3, 10, 23]
    """
    return min(max(ms, 0).bit_length(), BUCKETS - 1)


def end_ms(bucket: int) -> int | None:
    """What every duration in the bucket is below, None for the last.

    >>> [end_ms(bucket) for bucket in (0, 1, 2, 10, 23)]
    [1, 2, 4, 1024, None]
    """
    return 1 << bucket if bucket < BUCKETS - 1 else None


def percentile_ms(counts: Sequence[int], percent: float) -> float | None:
    """What `percent` of the durations do not exceed, in milliseconds; None of none at all.

    Counted up to the bucket in which it lies, and from there in proportion, as if that bucket's durations were spread
    evenly over its doubling. So it is off by a factor of two at the most, and mostly by far less. In the last
    bucket it is where that begins: no less than the answer.

    >>> percentile_ms([0, 0, 0, 10], 50), percentile_ms([4], 99), percentile_ms([], 50)
    (5.656854249492381, 0.0, None)
    """
    bucket = bucket_at(counts, percent)
    if bucket is None:
        return None
    rank, below = sum(counts) * percent / 100, sum(counts[:bucket])
    return _within(bucket, max(0.0, rank - below) / counts[bucket])


def bucket_at(counts: Sequence[int], percent: float) -> int | None:
    """The bucket in which what `percent` of the durations do not exceed lies; None of none at all.

    >>> bucket_at([1, 0, 8, 1], 50), bucket_at([1, 0, 8, 1], 99), bucket_at([0], 50)
    (2, 3, None)
    """
    rank, below = sum(counts) * percent / 100, 0
    for bucket, count in enumerate(counts):
        below += count
        if count and below >= rank:
            return bucket
    return None


def bound_ms(counts: Sequence[int], percent: float) -> float | None:
    """What `percent` of the durations are below, for certain: the end of their bucket, infinite for the last.

    >>> bound_ms([0, 0, 0, 10], 50), bound_ms([], 50), bound_ms([0] * 23 + [1], 50)
    (8.0, None, inf)
    """
    bucket = bucket_at(counts, percent)
    if bucket is None:
        return None
    end = end_ms(bucket)
    return math.inf if end is None else float(end)


def _within(bucket: int, part: float) -> float:
    if bucket == 0:
        return 0.0
    begin = 1 << (bucket - 1)
    return float(begin) if bucket == BUCKETS - 1 else float(begin * 2**part)
