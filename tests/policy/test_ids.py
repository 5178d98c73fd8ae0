"""Ids that sort by the time of asking."""

from __future__ import annotations

import os
import uuid
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from jobs.policy import ids

moments = st.integers(min_value=0, max_value=(1 << 48) * 1_000_000 - 1)
noise = st.binary(min_size=8, max_size=8)


@given(now=moments, random=noise)
def test_an_id_is_a_uuid_of_version_seven(now, random):
    made = ids.time_sorted(now, random)
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == now // 1_000_000


@given(earlier=moments, apart=st.integers(min_value=245, max_value=10**12), first=noise, second=noise)
def test_ids_of_later_moments_sort_later(earlier, apart, first, second):
    later = min(earlier + apart, (1 << 48) * 1_000_000 - 1)
    if later - earlier >= 245:
        assert ids.time_sorted(earlier, first) < ids.time_sorted(later, second)
        assert str(ids.time_sorted(earlier, first)) < str(ids.time_sorted(later, second))


@given(now=moments, random=noise, count=st.integers(min_value=0, max_value=10**9))
def test_ids_that_are_counted_up_are_of_one_moment(now, random, count):
    first = ids.first_of_many(now, random)
    later = uuid.UUID(int=first + count)
    assert (later.version, later.variant) == (7, uuid.RFC_4122)
    assert later.int >> 64 == first >> 64
    assert ids.as_text(first + count) == str(later)


def test_ids_of_one_moment_do_not_meet():
    random = iter(lambda: os.urandom(8), b"")
    assert len({ids.time_sorted(10**18, one) for one in islice(random, 10_000)}) == 10_000
