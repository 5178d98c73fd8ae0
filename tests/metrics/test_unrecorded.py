"""Runs without a row are in the figures too, though the journal has no entries of theirs."""

from __future__ import annotations

import json

import pytest
from django.db.models import Sum

from jobs import DiscardJob, metrics, recorder
from jobs.broker import journal, keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun, MetricMinute, MetricTotal
from jobs.worker.counting import Counting
from tests.engine import attempt_next, make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


def counted() -> dict[str, int]:
    names = ("enqueued", "started", "succeeded", "failed", "discarded", "interrupted")
    sums = MetricMinute.objects.aggregate(**{name: Sum(name, default=0) for name in names})
    return {name: count for name, count in sums.items() if count}


def run(job, count: int, counting: Counting) -> None:
    job.enqueue_many([()] * count)
    for _ in range(count):
        counting.note(attempt_next())


def test_they_are_counted_with_their_waits_and_run_times(make_job):
    counting = Counting()
    run(make_job(lambda: None, name="tests.flood", durable=False), 3, counting)
    counting.tell(at_once=True)
    assert journal_now().length == 1
    recorder.record_all()
    metrics.carry()
    assert counted() == {"enqueued": 3, "started": 3, "succeeded": 3}
    total = MetricTotal.objects.get()
    assert (total.name, total.queue) == ("tests.flood", "default")
    assert sum(getattr(total, f"run_{bucket:02}") for bucket in range(24)) == 3
    assert not JobRun.objects.exists()
    assert journal_now().length == 0


def test_one_that_discards_itself_is_counted_as_such(make_job):
    def leave():
        raise DiscardJob("x")

    counting = Counting()
    run(make_job(leave, durable=False), 1, counting)
    counting.tell(at_once=True)
    recorder.record_all()
    assert counted() == {"started": 1, "discarded": 1}


def test_what_has_entries_of_its_own_is_counted_by_these(make_job):
    def fail():
        raise OSError

    counting = Counting()
    run(make_job(fail, durable=False), 1, counting)
    run(make_job(lambda: None), 1, counting)
    counting.tell(at_once=True)
    assert journal_now().length == 2
    recorder.record_all()
    assert counted() == {"started": 2, "succeeded": 1, "failed": 1}


def test_they_are_told_of_together_and_each_once(make_job):
    counting, job = Counting(), make_job(lambda: None, durable=False)
    counting.tell()
    run(job, 2, counting)
    counting.tell()
    assert journal_now().length == 0
    counting.tell(at_once=True)
    counting.tell(at_once=True)
    assert journal_now().length == 1


def test_what_could_not_be_told_is_told_later(make_job, monkeypatch):
    counting = Counting()
    run(make_job(lambda: None, durable=False), 2, counting)

    def away(sums: object) -> None:
        raise BrokerUnavailable("away")

    with monkeypatch.context() as outage:
        outage.setattr(journal, "tell_figures", away)
        counting.tell(at_once=True)
    counting.tell(at_once=True)
    recorder.record_all()
    assert counted() == {"started": 2, "succeeded": 2}


@pytest.mark.parametrize(
    "sums", [None, [1], [["a", "b", "c", {}]], [["a", "b", 1, {"999": 1}]], [["a", "b", 1, {"x": 1}]]]
)
def test_a_damaged_entry_is_passed_by(sums, make_job):
    client().xadd(keys.JOURNAL, {"e": json.dumps({"entry": "figures", "run": "", "sums": sums})})
    make_job(lambda: None).enqueue()
    attempt_next()
    recorder.record_all()
    assert counted() == {"started": 1, "succeeded": 1}
