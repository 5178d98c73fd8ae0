"""What a seed fixes."""

from __future__ import annotations

from bench.faults import plan


def drawn(seed: int) -> list[plan.Fault]:
    return plan.faults(seed, count=30, workers=4, seconds=40)


def test_the_same_seed_gives_the_same_faults() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_faults_come_in_order_while_there_is_work() -> None:
    times = [fault.at for fault in drawn(7)]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < 40


def test_jobs_take_between_5_and_50_ms_as_the_seed_says() -> None:
    lengths = [plan.job_ms(7, key) for key in range(500)]
    assert lengths == [plan.job_ms(7, key) for key in range(500)]
    assert (min(lengths), max(lengths)) == (5, 50)
