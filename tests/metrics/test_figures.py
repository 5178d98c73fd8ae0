"""Figures say what the rows say, of whatever period and part is asked for, in a bounded number of queries."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import figures, metrics
from jobs.metrics import Minutes

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC).replace(second=30, microsecond=0)


def happen(
    ago: timedelta = timedelta(0),
    *,
    name: str = "a",
    queue: str = "default",
    good: int = 0,
    bad: int = 0,
    ms: int = 5,
    wait_ms: int = 3,
) -> None:
    """So many attempts went well, so many failed."""
    at_ms = int((NOW - ago).timestamp() * 1000)
    minutes = Minutes()
    times = {"started_ms": at_ms, "ended_ms": at_ms, "wait_ms": wait_ms, "run_ms": ms}
    for _ in range(good):
        minutes.succeeded(name, queue, **times)
    for _ in range(bad):
        minutes.settled(name, queue, **times, verdict="retry", outcome="raised", error_class="OSError")
    minutes.enqueued(name, queue, at_ms=at_ms, count=good + bad)
    minutes.write()


def roll() -> None:
    while metrics.roll() == 12:
        pass


@pytest.mark.parametrize("period", figures.PERIODS)
def test_every_period_says_the_same_of_what_has_just_happened(period):
    happen(good=3, bad=1)
    happen(name="b", queue="low", good=6)
    roll()
    found = figures.of(period, now=NOW)
    assert (found.counts.succeeded, found.counts.failed, found.counts.enqueued) == (9, 1, 10)
    assert found.failure_rate == 0.1
    assert figures.of(period, job="a", now=NOW).counts.succeeded == 3
    assert figures.of(period, queue="low", now=NOW).counts.succeeded == 6
    assert figures.of(period, job="a", queue="low", now=NOW).counts.ended == 0
    by_job = figures.by_job(period, now=NOW)
    assert {name: each.counts.ended for name, each in by_job.items()} == {"a": 4, "b": 6}
    assert figures.by_job(period, queue="low", now=NOW).keys() == {"b"}
    assert found.series[-1].counts.ended == 10
    assert [one.at for one in found.series] == sorted({one.at for one in found.series})


@pytest.mark.parametrize(
    ("period", "slices", "before"),
    [("1h", 60, timedelta(minutes=61)), ("24h", 24, timedelta(hours=25)), ("13w", 91, timedelta(days=92))],
)
def test_a_period_has_its_slices_and_nothing_from_before(period, slices, before):
    if period != "13w":
        happen(before, good=1)
        roll()
    found = figures.of(period, now=NOW)
    assert len(found.series) == slices
    assert not found.counts.is_anything
    assert found.failure_rate is None


def test_a_week_is_drawn_by_the_hour_and_begins_with_a_day():
    happen(timedelta(days=5), good=2)
    roll()
    found = figures.of("7d", now=NOW)
    assert found.since.hour == 0
    assert 6 * 24 < len(found.series) <= 7 * 24
    assert found.counts.succeeded == figures.by_job("7d", now=NOW)["a"].counts.succeeded == 2


def test_percentiles_are_bounds_that_hold():
    for ms, count in ((5, 50), (100, 45), (3000, 5)):
        happen(good=count, ms=ms, wait_ms=1)
    run = figures.of("1h", now=NOW).run
    assert (run.p50_ms, run.p95_ms, run.p99_ms) == (8, 128, 4096)
    assert 64 <= run.estimate_ms(95) <= 128
    assert run.count == 100
    assert run.mean_ms == (50 * 5 + 45 * 100 + 5 * 3000) / 100


def test_nothing_has_no_percentile():
    run = figures.of("1h", now=NOW).run
    assert (run.p50_ms, run.mean_ms, run.estimate_ms(50)) == (None, None, None)


def test_what_takes_longer_than_the_last_bucket_has_no_bound():
    happen(good=1, ms=2**30)
    assert figures.of("1h", now=NOW).run.p99_ms == math.inf


def test_the_trend_has_thirteen_weeks():
    happen(good=2, bad=1)
    happen(timedelta(days=8), good=5)
    happen(name="b", good=1)
    roll()
    assert [week.ended for week in figures.trend("a", now=NOW)] == [0] * 11 + [5, 3]
    assert [week.failed for week in figures.trend("a", now=NOW)] == [0] * 12 + [1]
    assert [week.ended for week in figures.trend(now=NOW)] == [0] * 11 + [5, 4]


@pytest.mark.parametrize("hours", [0.5, 30])
def test_a_release_is_compared_with_as_much_time_before(hours):
    released = NOW - timedelta(hours=hours)
    near = timedelta(minutes=5) if hours < 1 else timedelta(hours=2)
    happen(timedelta(hours=hours) + near, good=9, bad=1, ms=100)
    happen(timedelta(hours=hours) - near, good=5, bad=5, ms=400)
    happen(timedelta(hours=hours) + timedelta(days=3), bad=50)
    roll()
    (change,) = figures.change_since(released, now=NOW).values()
    assert (change.before.ended, change.after.ended) == (10, 10)
    assert round(change.failure_rate, 3) == 0.4
    assert change.p95_steps == 2
    assert figures.change_since(released, "a", now=NOW)["a"] == change


def test_a_release_of_a_moment_ago_is_compared_with_nothing():
    happen(good=1)
    assert figures.change_since(NOW - timedelta(minutes=4), now=NOW) == {}


def test_what_is_new_since_a_release_has_nothing_to_compare_with():
    happen(good=1)
    change = figures.change_since(NOW - timedelta(minutes=20), now=NOW)["a"]
    assert (change.failure_rate, change.p95_steps) == (None, None)


def test_each_question_is_one_query_however_many_jobs_there_are():
    for number in range(30):
        happen(name=f"job {number}", good=1)
    roll()
    for ask, most in (
        (lambda: figures.of("7d"), 1),
        (lambda: figures.by_job("24h"), 1),
        (lambda: figures.trend(), 1),
        (lambda: figures.change_since(NOW - timedelta(hours=1)), 2),
    ):
        with CaptureQueriesContext(connection) as captured:
            ask()
        assert len(captured) == most


def test_jobs_and_the_latest_minute_are_known():
    assert figures.recorded_up_to() is None
    happen(good=1)
    assert figures.names() == ["a"]
    assert figures.recorded_up_to() == NOW.replace(second=0)
