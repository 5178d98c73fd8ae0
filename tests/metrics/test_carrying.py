"""What pushes count reaches the figures once, whatever becomes of Redis and of whoever carries it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone

from jobs import metrics, reconciling, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.enqueued import Counted, counted
from jobs.broker.push import push
from jobs.enqueueing import message_of
from jobs.metrics import carrying
from jobs.models import JobRun, MetricCursor, MetricMinute, MetricTotal
from tests.engine import attempt_next, claim, make_job
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)
ADD = "tests.sample.add"


def enqueued() -> int:
    by_minute: int = MetricMinute.objects.aggregate(sum=Sum("enqueued", default=0))["sum"]
    assert by_minute == MetricTotal.objects.aggregate(sum=Sum("enqueued", default=0))["sum"]
    return by_minute


def test_what_is_enqueued_is_counted_by_job_and_queue():
    sample.add.enqueue(1, 2)
    sample.add.enqueue_many([(1, 2)] * 600)
    sample.add.using(queue="low").enqueue(1, 2)
    assert counted().counts == {(ADD, "default"): 601, (ADD, "low"): 1}
    assert metrics.carry() == 602
    assert metrics.carry() == 0
    assert dict(MetricTotal.objects.values_list("queue", "enqueued")) == {"default": 601, "low": 1}
    assert enqueued() == 602


def test_runs_without_a_row_count_too(make_job):
    make_job(lambda: None, durable=False).enqueue()
    make_job(lambda: None, durable=False).enqueue_many([()] * 3)
    assert not JobRun.objects.exists()
    assert metrics.carry() == 4


def test_a_repeated_push_counts_nothing():
    run = sample.add.enqueue(1, 2)
    assert push([message_of(JobRun.objects.get(pk=run.id))], at=datetime.now(UTC)) == 0
    assert metrics.carry() == 1


def test_what_was_asked_for_while_the_server_was_away_counts_when_it_is_back():
    sample.add.enqueue_many([(1, 2)] * 3)
    client().flushall()
    JobRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert reconciling.reconcile("me").restored == 0
    assert metrics.carry() == 3
    assert claim() is not None
    assert not JobRun.objects.filter(pushed_at=None).exists()


def test_a_later_life_is_no_other_run(make_job):
    def fail():
        raise OSError

    run = make_job(fail, retry=1).enqueue()
    attempt_next()
    recorder.record_all()
    row = JobRun.objects.get(pk=run.id)
    row.life = 1
    assert push([message_of(row)], at=datetime.now(UTC)) == 1
    assert metrics.carry() == 1


def test_a_wiped_server_counts_on_from_nothing():
    sample.add.enqueue_many([(1, 2)] * 3)
    metrics.carry()
    client().flushdb()
    # More than before: only the beginning tells that these are others.
    sample.add.enqueue_many([(1, 2)] * 5)
    assert metrics.carry() == 5
    assert enqueued() == 8


def test_what_comes_back_after_a_wipe_was_counted_before():
    sample.add.enqueue_many([(1, 2)] * 3)
    metrics.carry()
    client().flushdb()
    reconciling.reconcile("tester")
    assert metrics.carry() == 0
    assert enqueued() == 3


def test_a_server_that_was_restored_counts_nothing_twice():
    sample.add.enqueue(1, 2)
    copy = client().hgetall(keys.ENQUEUED)
    sample.add.enqueue_many([(1, 2)] * 4)
    metrics.carry()
    client().hset(keys.ENQUEUED, mapping=copy)
    assert metrics.carry() == 0
    sample.add.enqueue(1, 2)
    assert metrics.carry() == 1
    assert enqueued() == 6


def test_two_that_carry_at_once_count_once(monkeypatch):
    sample.add.enqueue(1, 2)
    real = carrying.counted

    def overtaken() -> Counted:
        monkeypatch.setattr(carrying, "counted", real)
        assert metrics.carry() == 1
        return real()

    monkeypatch.setattr(carrying, "counted", overtaken)
    assert metrics.carry() == 0
    assert enqueued() == 1


def test_a_crash_before_the_commit_leaves_it_to_the_next(monkeypatch):
    sample.add.enqueue(1, 2)

    def crash(minutes: object) -> None:
        raise OSError("crashed")

    with monkeypatch.context() as patched:
        patched.setattr("jobs.metrics.Minutes.write", crash)
        with pytest.raises(OSError, match="crashed"):
            metrics.carry()
    assert enqueued() == 0
    assert metrics.carry() == 1


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30])
def test_a_damaged_count_stops_neither_the_push_nor_the_others(value):
    client().hset(keys.ENQUEUED, f"default\t{ADD}", value)
    client().hset(keys.ENQUEUED, "no tab", 7)
    run = sample.add.enqueue(1, 2)
    sample.add.using(queue="low").enqueue(1, 2)
    assert client().exists(keys.job(str(run.id)))
    assert metrics.carry() >= 1
    assert MetricTotal.objects.get(queue="low").enqueued == 1


def test_a_key_of_another_type_stops_no_push():
    client().set(keys.ENQUEUED, "x")
    run = sample.add.enqueue(1, 2)
    assert client().exists(keys.job(str(run.id)))
    assert metrics.carry() == 0


def test_nothing_new_writes_nothing():
    sample.add.enqueue(1, 2)
    metrics.carry()
    version = MetricCursor.objects.get(kind="enqueued").version
    metrics.carry()
    assert MetricCursor.objects.get(kind="enqueued").version == version
