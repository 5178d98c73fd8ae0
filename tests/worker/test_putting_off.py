"""A run that is put off comes back later, burns no attempt, and is told of once, however often it is put off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from jobs import PutOffJob, RetryPolicy, fixed, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.schedule import tick
from jobs.models import JobAttempt, MetricMinute
from jobs.worker import news
from tests.engine import attempt_next, hash_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def moody(make_job: Callable[..., Any]) -> Any:
    """A job that raises what `moods` holds, one after the other, and then is done."""
    moods: list[Exception] = []

    def be() -> str:
        if moods:
            raise moods.pop(0)
        return "well"

    job = make_job(be, retry=RetryPolicy(attempts=2, backoff=fixed(0), jitter=0))
    job.moods = moods
    return job


def again() -> None:
    """Make everything due now."""
    for run_id in client().zrange(keys.scheduled("default"), 0, -1):
        client().zadd(keys.scheduled("default"), {run_id: 0})
    tick([], ["default"])


def attempt_again() -> Any:
    again()
    return attempt_next()


def test_a_run_that_is_put_off_burns_no_attempt_and_shows_why_it_waits(moody):
    moody.moods += [PutOffJob(30, "the warehouse is closed")] * 4
    run = moody.enqueue()
    first = attempt_next()
    assert (first.where, first.entry["outcome"], first.entry["verdict"]) == ("later", "postponed", "put off")
    assert 30 <= first.wait_seconds <= 45
    recorder.record_all()
    row = run.row()
    assert (row.state, row.attempts, row.error_message) == ("scheduled", 0, "the warehouse is closed")
    assert row.due_at > row.started_at
    for _ in range(3):
        attempt_again()
    attempt_again()
    recorder.record_all()
    assert (run.state, run.row().attempts, run.row().result) == ("succeeded", 1, "well")


def test_the_journal_and_the_attempts_hear_of_one_reason_once(moody):
    moody.moods += [PutOffJob(1, f"{number} before us") for number in range(9, 4, -1)]
    run = moody.enqueue()
    told = [attempt_next().entry is not None] + [attempt_again().entry is not None for _ in range(4)]
    assert told == [True, False, False, False, False]
    assert journal_now().length == 1
    recorder.record_all()
    assert [one.reason for one in JobAttempt.objects.filter(run=run.id)] == ["9 before us"]
    assert not JobAttempt.objects.get(run=run.id).traceback


def test_another_reason_is_news_and_so_is_the_same_one_after_something_else(moody):
    moody.moods += [PutOffJob(1, "closed"), PutOffJob(1, "on strike"), OSError("burnt down"), PutOffJob(1, "on strike")]
    moody.enqueue()
    told = [attempt_next().entry["verdict"], *(attempt_again().entry["verdict"] for _ in range(3))]
    assert told == ["put off", "put off", "retry", "put off"]


def test_a_reason_that_lasts_is_told_again_so_that_the_due_time_is_no_old_one(moody, monkeypatch):
    moody.moods += [PutOffJob(1, "closed"), PutOffJob(60, "closed")]
    run = moody.enqueue()
    attempt_next()
    recorder.record_all()
    first_due = run.row().due_at
    monkeypatch.setattr(news, "_TOLD_AGAIN_MS", 0)
    assert attempt_again().entry is not None
    recorder.record_all()
    assert run.row().due_at > first_due
    assert JobAttempt.objects.filter(run=run.id).count() == 1


def test_waiting_is_no_failure_in_the_figures(moody):
    moody.moods.append(PutOffJob(1))
    moody.enqueue()
    attempt_next()
    attempt_again()
    recorder.record_all()
    minute = MetricMinute.objects.get()
    assert (minute.succeeded, minute.failed, minute.retried) == (1, 0, 0)


def test_a_run_without_a_row_gets_none_by_waiting(make_job):
    def wait() -> None:
        raise PutOffJob(5)

    make_job(wait, durable=False).enqueue()
    assert attempt_next().entry is None
    assert journal_now().length == 0


def test_a_reason_that_cannot_be_told_does_not_keep_the_run_from_waiting(moody):
    class Mute(PutOffJob):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    moody.moods.append(Mute(5))
    run = moody.enqueue()
    assert attempt_next().where == "later"
    assert hash_of(run.id)["status"] == "scheduled"


def test_only_what_is_news_is_logged_for_operators(moody, caplog):
    moody.moods += [PutOffJob(1, "closed")] * 3
    moody.enqueue()
    with caplog.at_level(logging.INFO, logger="jobs.attempt"):
        attempt_next()
        attempt_again()
    told = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "attempt ended"]
    assert len(told) == 1
    assert told[0].endswith("put off in 1 s, closed")
