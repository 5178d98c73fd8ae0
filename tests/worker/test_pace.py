"""How many runs wait in hand depends on how fast attempts end, and on whether more are queued."""

from __future__ import annotations

from jobs.worker.pace import Pace


def after(rate: float, *, seconds: float = 1.0, threads: int = 10) -> Pace:
    """A pace after so many attempts have ended each second, looked at every 10 ms."""
    pace = Pace(threads)
    for step in range(int(seconds / 0.01) + 1):
        pace.note_ended(round(rate * 0.01), now=step * 0.01)
    return pace


def test_nothing_is_taken_ahead_before_anything_has_ended():
    assert Pace(10).ahead == 0


def test_what_waits_in_hand_is_begun_within_some_milliseconds():
    assert after(1000).ahead == 20
    assert after(100).ahead == 2


def test_long_runs_are_never_taken_ahead():
    assert after(10).ahead == 0


def test_what_one_exchange_takes_is_bounded():
    assert after(1_000_000).ahead == 128


def test_few_short_runs_do_not_fill_the_hand_at_once():
    assert after(100_000, seconds=0.01).ahead == 10
    assert after(100_000, seconds=0.02).ahead == 30


def test_when_the_queue_is_empty_what_comes_goes_to_whoever_is_free():
    pace = after(5000)
    pace.note_claimed(50, asked=50)
    assert pace.ahead == 100
    pace.note_claimed(49, asked=50)
    assert pace.ahead == 0


def test_a_pause_counts_as_slow():
    pace = after(5000)
    pace.note_ended(10, now=11.0)
    assert pace.ahead == 0
