"""Figures by the minute are what the rows say, with each attempt in them once."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from django.db import OperationalError, connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import Discard, DiscardJob, HandBackJob, RetryLater, RetryPolicy, fixed, metrics, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.settle import settle
from jobs.errors import BrokerUnavailable
from jobs.jobs import prune_runs
from jobs.metrics import Minutes
from jobs.metrics.minutes import _COUNTED_AS
from jobs.models import JobRun, MetricMinute
from jobs.models.metrics import RUNS, WAITS
from jobs.policy.histogram import bucket_of
from jobs.policy.outcome import Abandoned
from jobs.policy.retry import Verdict
from jobs.worker import lifecycle
from tests.engine import WORKER, attempt_next, claim, make_job
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

# 2026-11-22 05:18:00 UTC, in milliseconds.
MINUTE_MS = 1795324680000
COUNTS = ("started", "succeeded", "failed", "retried", "dead", "discarded", "cancelled", "interrupted")


def figures(**which: object) -> dict[str, int]:
    """All counts that are not zero, over all minutes."""
    sums = MetricMinute.objects.filter(**which).aggregate(**{count: Sum(count, default=0) for count in COUNTS})
    return {count: number for count, number in sums.items() if number}


def buckets(row: MetricMinute, columns: tuple[str, ...]) -> dict[int, int]:
    return {bucket: count for bucket, column in enumerate(columns) if (count := getattr(row, column))}


def write(run_id: object, *, ended_ms: int = MINUTE_MS + 1000, **facts: object) -> None:
    """Tell of an attempt's end."""
    data = {
        "entry": "settled",
        "run": str(run_id),
        "life": 0,
        "token": uuid.uuid4().hex,
        "attempt": 1,
        "attempts": 1,
        "started_ms": MINUTE_MS,
        "wait_ms": 5,
        "pushed_ms": MINUTE_MS,
        "worker": "tester",
        "release": "",
        "outcome": "returned",
        "verdict": "done",
        "run_ms": 1000,
        **facts,
    }
    client().xadd(keys.JOURNAL, {"at": ended_ms, "e": json.dumps(data)})


def test_runs_that_succeed_are_counted_with_their_waits_and_run_times():
    runs = sample.add.enqueue_many([(1, 2)] * 3)
    for run, run_ms in zip(runs, (0, 3, 1000), strict=True):
        write(run.id, run_ms=run_ms, wait_ms=run_ms * 2)
    recorder.record_all()
    (row,) = MetricMinute.objects.all()
    assert (row.name, row.queue) == ("tests.sample.add", "default")
    assert row.minute == datetime.fromtimestamp(MINUTE_MS / 1000, UTC)
    assert figures() == {"started": 3, "succeeded": 3}
    assert (row.wait_ms, row.run_ms) == (2006, 1003)
    assert buckets(row, RUNS) == {bucket_of(0): 1, bucket_of(3): 1, bucket_of(1000): 1}
    assert buckets(row, WAITS) == {bucket_of(0): 1, bucket_of(6): 1, bucket_of(2000): 1}


def test_a_start_counts_in_its_own_minute():
    run = sample.add.enqueue(1, 2)
    write(run.id, started_ms=MINUTE_MS - 1, ended_ms=MINUTE_MS + 60_000, run_ms=60_001)
    recorder.record_all()
    before, after = MetricMinute.objects.order_by("minute")
    assert (before.started, before.succeeded, before.wait_ms, before.run_ms) == (1, 0, 5, 0)
    assert (after.started, after.succeeded, after.wait_ms, after.run_ms) == (0, 1, 0, 60_001)
    assert after.minute - before.minute == timedelta(minutes=2)


def test_each_job_and_queue_has_rows_of_its_own():
    for queue in ("default", "low"):
        write(sample.add.using(queue=queue).enqueue(1, 2).id)
    write(sample.add.enqueue(1, 2).id)
    recorder.record_all()
    assert dict(MetricMinute.objects.values_list("queue", "succeeded")) == {"default": 2, "low": 1}


@pytest.mark.parametrize(
    ("raised", "policy", "expected"),
    [
        (OSError("x"), RetryPolicy(attempts=3, backoff=fixed(60)), {"failed": 1, "retried": 1}),
        (OSError("x"), RetryPolicy(attempts=1), {"failed": 1, "dead": 1}),
        (KeyError("x"), RetryPolicy(rules={KeyError: Discard}), {"failed": 1, "discarded": 1}),
        (DiscardJob("x"), RetryPolicy(), {"discarded": 1}),
        (RetryLater(5), RetryPolicy(), {"retried": 1}),
    ],
    ids=["retried", "dead", "discarded by a rule", "discarded on purpose", "retried on purpose"],
)
def test_what_does_not_succeed_is_counted_by_what_follows(make_job, raised, policy, expected):
    def fail():
        raise raised

    make_job(fail, retry=policy).enqueue()
    attempt_next()
    recorder.record_all()
    assert figures() == {"started": 1, **expected}
    assert sum(row.run_ms for row in MetricMinute.objects.all()) >= 0
    assert sum(sum(buckets(row, RUNS).values()) for row in MetricMinute.objects.all()) == 1


def test_an_interrupted_attempt_has_no_run_time():
    sample.add.enqueue(1, 2)
    (taken,) = claim()
    settle(WORKER, [lifecycle.conclude(taken, Abandoned(), worker=WORKER.name, run_ms=70)])
    recorder.record_all()
    assert figures() == {"started": 1, "interrupted": 1}
    assert not any(buckets(row, RUNS) or row.run_ms for row in MetricMinute.objects.all())


def test_a_job_that_handed_itself_back_was_interrupted_though_it_waits_a_moment(make_job):
    def hand_back():
        raise HandBackJob

    make_job(hand_back).enqueue()
    attempt_next()
    recorder.record_all()
    assert figures() == {"started": 1, "interrupted": 1}


def test_a_run_that_waits_for_its_code_is_not_counted():
    run = sample.add.enqueue(1, 2)
    write(run.id, verdict="put off", outcome="unknown job", wait_s=30, error_class="x", error_message="x")
    recorder.record_all()
    assert run.state == "scheduled"
    assert not MetricMinute.objects.exists()


def test_every_verdict_is_counted_but_that_of_a_run_which_waits_for_its_code():
    assert _COUNTED_AS.keys() == {verdict.name for verdict in get_args(Verdict)} - {"put off"}


def test_what_is_told_twice_or_of_an_earlier_life_is_counted_once():
    run = sample.add.enqueue(1, 2)
    for life in (0, 0, 1):
        write(run.id, life=life)
    recorder.record_all()
    assert figures() == {"started": 1, "succeeded": 1}


def test_what_cannot_be_stored_is_not_counted():
    hurt, fine = sample.add.enqueue_many([(1, 2)] * 2)
    write(hurt.id, verdict="bury", outcome="raised")
    write(fine.id)
    recorder.record_all()
    assert figures() == {"started": 1, "succeeded": 1}


@pytest.mark.parametrize("place", ["jobs.metrics.Minutes.write", "jobs.broker.journal.forget"])
def test_a_crash_counts_nothing_twice_and_leaves_nothing_out(place, make_job, monkeypatch):
    def fail():
        raise OSError("down")

    sample.add.enqueue(1, 2)
    make_job(fail, retry=1).enqueue()
    for _ in range(2):
        attempt_next()
    error = OperationalError("crashed") if "write" in place else BrokerUnavailable("crashed")
    with monkeypatch.context() as crash:
        crash.setattr(place, _raising(error))
        with pytest.raises(type(error)):
            recorder.record()
    recorder.record_all()
    assert figures() == {"started": 2, "succeeded": 1, "failed": 1, "dead": 1}
    assert journal_now().length == 0


def _raising(error):
    def fail(*args):
        raise error

    return fail


def test_both_ways_to_store_count_alike(monkeypatch):
    together, alone = sample.add.enqueue_many([(1, 2)] * 2)
    write(together.id, wait_ms=77)
    recorder.record_all()
    first = MetricMinute.objects.values().get()
    MetricMinute.objects.all().delete()
    monkeypatch.setattr("jobs.recorder.successes.store", lambda entries, minutes: list(entries))
    write(alone.id, wait_ms=77)
    recorder.record_all()
    second = MetricMinute.objects.values().get()
    assert {**first, "id": 0} == {**second, "id": 0}


def test_a_thousand_attempts_are_two_statements():
    minutes = Minutes()
    for number in range(1000):
        minutes.succeeded("a", "default", started_ms=MINUTE_MS, wait_ms=number, ended_ms=MINUTE_MS, run_ms=1)
    with CaptureQueriesContext(connection) as captured:
        minutes.write()
    assert len(captured) == 2
    assert figures() == {"started": 1000, "succeeded": 1000}


def test_many_jobs_fit_a_statement_or_a_few():
    minutes = Minutes()
    for number in range(450):
        minutes.succeeded(f"job {number}", "default", started_ms=0, wait_ms=1, ended_ms=0, run_ms=1)
    with CaptureQueriesContext(connection) as captured:
        minutes.write()
    assert len(captured) == 6
    assert MetricMinute.objects.count() == 450


def test_nothing_to_count_is_no_statement():
    with CaptureQueriesContext(connection) as captured:
        Minutes().write()
    assert len(captured) == 0


def test_figures_of_more_than_two_weeks_are_deleted_at_night():
    now = timezone.now()
    for age in (timedelta(0), metrics.KEPT - timedelta(hours=1), metrics.KEPT + timedelta(hours=2)):
        MetricMinute.objects.create(name="a", queue="default", minute=now - age, rolled=True)
    assert metrics.is_anything_prunable()
    assert prune_runs.function("2026-11-22")["figures"] == 1
    assert MetricMinute.objects.count() == 2
    assert not metrics.is_anything_prunable()


def test_figures_outlive_the_runs_they_tell_of():
    write(sample.add.enqueue(1, 2).id)
    recorder.record_all()
    JobRun.objects.all().delete()
    assert figures() == {"started": 1, "succeeded": 1}
