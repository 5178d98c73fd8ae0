"""A time limit strikes the job that passed it, and nothing else."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs import JobStopped, JobTimedOut
from jobs.worker import deadlines


@contextmanager
def striking() -> Iterator[None]:
    """Strike what is late, again and again, from a thread of its own."""
    over = threading.Event()

    def strike() -> None:
        while not over.is_set():
            deadlines.strike_late()

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def turn(seconds: float) -> None:
    """Be busy in Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_job_that_passes_its_limit_is_struck():
    with striking(), pytest.raises(JobTimedOut), deadlines.limit(0.05):
        turn(10)


def test_a_job_within_its_limit_is_left_alone():
    with striking(), deadlines.limit(10):
        turn(0.05)


def test_except_exception_does_not_swallow_the_strike():
    swallowed = []

    def stubborn() -> None:
        with deadlines.limit(0.05):
            try:
                turn(10)
            except Exception as error:
                swallowed.append(error)

    with striking(), pytest.raises(JobTimedOut):
        stubborn()
    assert swallowed == []


def test_a_limit_strikes_once():
    struck = 0
    with striking(), deadlines.limit(0.02):
        for _ in range(2):
            try:
                turn(0.2)
            except JobTimedOut:
                struck += 1
    assert struck == 1


def test_a_job_that_raises_in_time_is_not_struck_later():
    with striking():
        with pytest.raises(ValueError, match="own"), deadlines.limit(0.02):
            raise ValueError("own")
        turn(0.1)


def test_what_comes_after_a_limit_has_none():
    with striking():
        with deadlines.limit(0.02):
            pass
        turn(0.1)


def test_the_next_limit_is_told_in_seconds():
    assert deadlines.strike_late() is None
    with deadlines.limit(60):
        assert 59 < deadlines.strike_late() <= 60
    assert deadlines.strike_late() is None


def test_neighbours_are_not_touched():
    struck: list[str] = []

    def work(name: str, limit: float) -> None:
        try:
            with deadlines.limit(limit):
                turn(0.3)
        except JobTimedOut:
            struck.append(name)

    threads = [threading.Thread(target=work, args=(f"late-{n}", 0.05)) for n in range(2)]
    threads += [threading.Thread(target=work, args=(f"fine-{n}", 60)) for n in range(4)]
    with striking():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(struck) == ["late-0", "late-1"]


def test_a_job_that_is_stopped_is_struck_before_its_limit():
    def stop_and_turn() -> None:
        deadlines.current().stop(grace=0)
        turn(30)

    with striking(), pytest.raises(JobStopped), deadlines.limit(60):
        stop_and_turn()


def test_a_stop_waits_for_its_grace():
    with deadlines.limit(60):
        deadlines.current().stop(grace=30)
        assert 29 < deadlines.strike_late() <= 30


def test_a_limit_that_strikes_sooner_than_a_stop_does_so():
    with deadlines.limit(10):
        deadlines.current().stop(grace=30)
        assert deadlines.strike_late() <= 10


def test_a_stop_first_cancels_an_event_loop_and_strikes_its_thread_only_later():
    cancelled = []
    with deadlines.limit(60):
        deadlines.current().cancel = lambda: cancelled.append(True)
        deadlines.current().stop(grace=0)
        assert deadlines.strike_late() == deadlines.LOOP_GRACE_SECONDS
        assert 0 < deadlines.strike_late() <= deadlines.LOOP_GRACE_SECONDS
    assert cancelled == [True]


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns so often that a strike can fall between any two steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_a_strike_never_lands_outside_its_block():
    """Blocks end just as their limits do, thousands of times, in some threads at once."""
    stray: list[str] = []
    rounds = {"struck": 0, "in time": 0}

    def work(dice: random.Random) -> None:
        try:
            for _ in range(1_000):
                length = dice.random() / 3_000
                try:
                    with deadlines.limit(length):
                        turn(length * (0.7 + 0.4 * dice.random()))
                    rounds["in time"] += 1
                except JobTimedOut:
                    rounds["struck"] += 1
                # Enough steps of the interpreter for a stray one to land here.
                sum(number for number in range(50))
        except JobTimedOut:
            stray.append(threading.current_thread().name)

    threads = [threading.Thread(target=work, args=(random.Random(seed),)) for seed in range(3)]
    with striking():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stray == []
    assert rounds["struck"] > 0
    assert rounds["in time"] > 0
    assert deadlines.strike_late() is None
