"""What `enqueue_many` gives back: a sequence of runs that takes no room for each."""

from __future__ import annotations

import sys
import uuid

import pytest

from jobs.handles import Run, Runs

FIRST = uuid.UUID(int=7)
RUNS = Runs("tests.sample.add", "low", FIRST, 5, others={2: Run(FIRST, "tests.sample.add", "low", created=False)})


def test_it_is_a_sequence_of_runs():
    assert len(RUNS) == 5
    assert [run.id.int for run in RUNS] == [7, 8, 7, 10, 11]
    assert RUNS[1] == RUNS[-4] == Run(uuid.UUID(int=8), "tests.sample.add", "low")
    assert [run.created for run in RUNS[1:4]] == [True, False, True]
    assert [run.id.int for run in RUNS[::-2]] == [11, 7, 7]
    first, *rest = RUNS
    assert (first, len(rest)) == (RUNS[0], 4)
    assert RUNS[3] in RUNS
    with pytest.raises(IndexError):
        RUNS[5]


def test_it_is_equal_to_any_sequence_of_the_same_runs():
    assert list(RUNS) == RUNS
    assert RUNS[:] == RUNS
    assert RUNS[:4] != RUNS
    assert Runs("a", "low", FIRST, 0) == []
    assert RUNS != 5


def test_a_million_take_no_more_room_than_one():
    assert sys.getsizeof(Runs("a", "low", FIRST, 10**6)) == sys.getsizeof(Runs("a", "low", FIRST, 1))
