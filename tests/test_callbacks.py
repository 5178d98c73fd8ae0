"""Jobs that are told of deaths and failures: once each, never lost with the burial, and never for ever."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from jobs import Bury, DiscardJob, PutOffJob, RetryLater, RetryPolicy, dead, fixed, job, recorder
from jobs.broker import journal
from jobs.broker.connection import client
from jobs.broker.keys import JOURNAL
from jobs.checks import check_settings
from jobs.errors import BadOptions
from jobs.models import DeadJob, JobAttempt, JobRun, JournalCursor
from jobs.testing import drain, inline
from tests.engine import attempt_next, make_job, work_off

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = RetryPolicy(attempts=3, backoff=fixed(0), jitter=0)


def refuse(*args):
    raise ValueError("the address is malformed")


@pytest.fixture
def told():
    return []


@pytest.fixture
def listener(make_job, told):
    """A job that keeps what it is told."""

    def listen(failed):
        told.append(failed)

    return make_job(listen, name="tests.callbacks.listen")


def test_a_death_is_told_with_its_facts(make_job, listener, told):
    run = make_job(refuse, retry=QUICK, on_death=listener, sensitive=["args"]).enqueue("secret", 7)
    assert drain(due=True).counts == {"retry": 2, "bury": 1, "done": 1}
    (failed,) = told
    assert failed.pop("at") == DeadJob.objects.get().died_at.isoformat()
    assert failed == {
        "run_id": str(run.id),
        "job": run.name,
        "queue": "default",
        "arguments": {"args": "[redacted]"},
        "attempt": 3,
        "attempts": 3,
        "outcome": "raised",
        "verdict": "bury",
        "reason": "exhausted",
        "error_class": "ValueError",
        "error_message": "the address is malformed",
    }


def test_each_failed_attempt_is_told(make_job, listener, told):
    make_job(refuse, retry=QUICK, on_failure="listen").enqueue()
    drain(due=True)
    assert [(one["attempt"], one["verdict"], one["reason"]) for one in told] == [
        (1, "retry", ""),
        (2, "retry", ""),
        (3, "bury", "exhausted"),
    ]


class NotYet(RetryLater):
    pass


@pytest.mark.parametrize("error", [DiscardJob(), RetryLater(5), NotYet(5), PutOffJob(0)])
def test_what_a_job_asks_for_itself_is_no_failure(make_job, listener, told, error):
    def ask():
        if not JobAttempt.objects.exists():
            raise error

    make_job(ask, on_failure=listener, on_death=listener).enqueue()
    drain(due=True)
    assert told == []


def test_a_success_is_told_nobody(make_job, listener, told):
    make_job(lambda: 7, on_failure=listener, on_death=listener).enqueue()
    drain()
    assert told == []


def test_a_run_that_expired_has_died_and_not_failed(make_job, listener, told):
    job = make_job(lambda: 7, on_failure="tests.callbacks.nobody", on_death=listener)
    job.using(expires=datetime(2020, 1, 1, tzinfo=UTC)).enqueue()
    drain()
    assert [(one["outcome"], one["reason"]) for one in told] == [("expired", "expired")]


def test_every_death_of_the_project_may_be_told(make_job, listener, told, jobs_settings):
    jobs_settings(ON_DEATH="listen", ON_FAILURE="")
    make_job(refuse, retry=1).enqueue()
    make_job(refuse, retry=1, on_death=listener).enqueue()
    drain()
    # The job that names the same one is not told of twice.
    assert len(told) == 2


def test_a_run_that_dies_again_is_told_again(make_job, listener, told):
    make_job(refuse, retry=1, on_death=listener).enqueue()
    drain()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    drain()
    assert len(told) == 2


def test_a_run_without_a_row_is_told_of_too(make_job, listener, told):
    make_job(refuse, retry=1, on_death=listener, durable=False).enqueue(3)
    drain()
    assert [one["arguments"] for one in told] == [{"args": [3]}]


def test_the_callback_belongs_to_what_failed(make_job, listener):
    run = make_job(refuse, retry=1, on_death=listener).enqueue()
    work_off()
    row = JobRun.objects.get(name=listener.name)
    assert (row.parent, row.correlation) == (run.id, f"callback of {run.id}")


def test_a_callback_that_dies_brings_about_no_other(make_job, jobs_settings):
    jobs_settings(ON_DEATH="tests.callbacks.fails", ON_FAILURE="tests.callbacks.fails")
    make_job(refuse, name="tests.callbacks.fails", retry=QUICK, on_death="fails", on_failure="fails")
    make_job(refuse, retry=1).enqueue()
    assert drain(due=True, max_runs=10).counts == {"bury": 2, "retry": 2}


def test_nor_does_what_a_callback_enqueues(make_job, jobs_settings):
    jobs_settings(ON_DEATH="tests.callbacks.passes_on")
    step = make_job(refuse, retry=1)
    make_job(lambda failed: step.enqueue() and None, name="tests.callbacks.passes_on")
    make_job(refuse, retry=1).enqueue()
    assert drain(max_runs=10).counts == {"bury": 2, "done": 1}


def test_the_burial_and_its_callback_are_stored_together_or_not_at_all(make_job, listener, told, monkeypatch):
    make_job(refuse, retry=1, on_death=listener).enqueue()
    attempt_next()
    with monkeypatch.context() as patched:
        patched.setattr("jobs.recorder.changes.DeadJob.objects.bulk_create", fail_by_database)
        with pytest.raises(OperationalError):
            recorder.record_all()
    assert not JobRun.objects.filter(name=listener.name).exists()
    drain()
    assert (len(told), DeadJob.objects.count()) == (1, 1)


def fail_by_database(*args, **kwargs):
    raise OperationalError("gone")


def test_a_journal_that_is_read_anew_tells_nobody_twice(make_job, listener, told):
    policy = RetryPolicy(attempts=2, backoff=fixed(3600))
    make_job(refuse, retry=policy, on_failure=listener).enqueue()
    attempt_next()
    entries = client().xrange(JOURNAL)
    recorder.record_all()
    for _, fields in entries:
        client().xadd(JOURNAL, fields)
    JournalCursor.objects.update(position=journal.FIRST)
    recorder.record_all()
    drain()
    assert len(told) == 1


def test_arguments_that_are_too_large_to_be_passed_on_are_left_out(make_job, listener, told, jobs_settings):
    jobs_settings(MAX_ARGUMENT_BYTES=1000)
    make_job(refuse, retry=1, on_death=listener).enqueue("x" * 900)
    drain()
    assert [one["arguments"] for one in told] == [{}]


def test_a_callback_that_cannot_be_enqueued_keeps_no_burial_back(make_job, caplog):
    make_job(refuse, retry=1, on_death="tests.callbacks.nobody").enqueue()
    with caplog.at_level(logging.ERROR):
        work_off()
    assert DeadJob.objects.count() == 1
    assert "the callback tests.callbacks.nobody cannot be enqueued" in caplog.text


def test_a_death_in_line_is_told_too(make_job, listener, told):
    job = make_job(refuse, retry=1, on_death=listener)
    with inline(errors="keep") as jobs:
        job.enqueue(3)
    assert jobs.attempts.counts == {"bury": 1, "done": 1}
    assert told[0]["reason"] == "exhausted"


# What the system checks say.


def problems():
    return [f"{one.msg} {one.hint}" for one in check_settings() if one.id == "jobs.E010"]


def test_a_callback_that_is_no_job_is_an_error_with_the_nearest_name(make_job, listener, jobs_settings):
    assert problems() == []
    known = make_job(refuse, on_death="lisen")
    jobs_settings(ON_FAILURE="tests.callbacks.lisen")
    by_setting, by_job = sorted(problems())
    assert by_setting.startswith('JOBS["ON_FAILURE"] names "tests.callbacks.lisen", which is no job.')
    assert by_setting.endswith('Did you mean "tests.callbacks.listen"?')
    assert by_job.startswith(f'on_death of the job {known.name} names "lisen", which is no job.')
    assert by_job.endswith('Did you mean "listen"?')


def test_a_callback_that_could_be_lost_or_cannot_be_called_is_an_error(make_job):
    make_job(refuse, on_death=make_job(lambda failed: None, durable=False))
    make_job(refuse, on_failure=make_job(lambda: None))
    lost, uncallable = problems()
    assert "is not durable" in lost
    assert "does not take one argument" in uncallable


def test_what_is_no_name_is_refused_when_the_module_is_imported():
    for given in (5, "", refuse):
        with pytest.raises(BadOptions, match="pass a job, or the name of one"):
            job(name="tests.callbacks.bad", on_death=given)(refuse)


def test_a_buried_run_by_rule_is_told_with_its_reason(make_job, listener, told):
    make_job(refuse, retry=RetryPolicy(rules={ValueError: Bury}), on_death=listener).enqueue()
    drain()
    assert [one["reason"] for one in told] == ["permanent"]
