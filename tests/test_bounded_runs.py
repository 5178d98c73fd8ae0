"""Runs that end before their attempts are used up: by a rule's own count, by a deadline, by an expiry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobs import Discard, PutOffJob, RetryPolicy, dead, delays, fixed, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.schedule import tick
from jobs.errors import BadOptions
from jobs.models import DeadJob, JobRun
from jobs.relay import relay
from jobs.testing import drain, inline
from jobs.testing.draining import _bring_forward
from tests.engine import attempt_next, hash_of, make_job, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class NotFound(Exception):
    pass


class Busy(Exception):
    pass


def fails_with(*errors):
    """A job's function that raises these, one after the other, and is done after them."""
    left = list(errors)

    def function():
        if left:
            raise left.pop(0)

    return function


def never():
    raise AssertionError("it was started")


def let_time_pass():
    """Let everything that waits be due now, as `drain(due=True)` does with retries."""
    _bring_forward(["default"], but=set())
    tick([], ["default"])


# Rules with their own count.


def test_a_4xx_is_tried_twice_and_discarded_whatever_else_failed(make_job):
    twice = RetryPolicy(attempts=3, backoff=fixed(10), jitter=0, then=Discard)
    policy = RetryPolicy(attempts=25, rules={NotFound: twice})
    run = make_job(fails_with(OSError(), NotFound(), OSError(), NotFound(), NotFound()), retry=policy).enqueue()
    drained = drain(due=True)
    assert [one.verdict for one in drained] == ["retry"] * 4 + ["discard"]
    assert [round(one.wait_seconds) for one in drained][1:4:2] == [10, 10]
    assert run.state == "discarded"


def test_a_requeued_run_counts_anew(make_job):
    policy = RetryPolicy(rules={NotFound: RetryPolicy(attempts=2, backoff=fixed(0))})
    run = make_job(fails_with(*[NotFound()] * 3), retry=policy).enqueue()
    assert drain(due=True).counts == {"retry": 1, "bury": 1}
    dead.requeue(DeadJob.objects.get(), actor="ann")
    assert drain(due=True).counts == {"retry": 1, "done": 1}
    assert run.state == "succeeded"


def test_a_run_without_such_bounds_carries_nothing_of_them(make_job):
    run = make_job(fails_with(OSError(), OSError()), retry=RetryPolicy(attempts=9)).enqueue()
    attempt_next()
    assert "bounds" not in hash_of(run.id)


# A deadline.


def test_a_run_is_dead_when_its_next_attempt_would_come_after_the_deadline(make_job):
    policy = RetryPolicy(attempts=99, backoff=fixed(7200), jitter=0, deadline=timedelta(hours=25))
    run = make_job(fails_with(*[OSError("down")] * 99), retry=policy).enqueue()
    assert drain(due=True).counts == {"retry": 12, "bury": 1}
    burial = DeadJob.objects.get()
    assert (burial.run_id, burial.reason, burial.error_message) == (run.id, "deadline", "down")


def test_the_deadline_counts_from_when_the_run_was_due(make_job):
    policy = RetryPolicy(backoff=fixed(3600), jitter=0, deadline=timedelta(hours=2.5))
    make_job(fails_with(*[OSError()] * 9), retry=policy).enqueue_in(timedelta(hours=5))
    assert drain(due=True).counts == {"retry": 2, "bury": 1}


def test_what_was_put_off_before_its_first_failure_counts_from_the_first_time(make_job):
    policy = RetryPolicy(backoff=fixed(3600), jitter=0, deadline=timedelta(hours=2))
    run = make_job(fails_with(PutOffJob(5400), OSError(), OSError()), retry=policy).enqueue()
    attempt_next()
    let_time_pass()
    attempt_next()
    recorder.record_all()
    assert run.state == "dead"
    assert DeadJob.objects.get().reason == "deadline"


def test_a_requeued_run_has_the_whole_time_again(make_job):
    policy = RetryPolicy(backoff=fixed(3600), jitter=0, deadline=timedelta(hours=2.5))
    make_job(fails_with(*[OSError()] * 9), retry=policy).enqueue()
    drain(due=True)
    dead.requeue(DeadJob.objects.get(), actor="ann")
    assert drain(due=True).counts == {"retry": 2, "bury": 1}


# An expiry.


def test_a_run_that_expired_is_not_started_and_is_dead_with_that_reason(make_job):
    run = make_job(never).using(expires=LONG_AGO).enqueue()
    work_off()
    burial = DeadJob.objects.get()
    assert (burial.reason, burial.error_class) == ("expired", "jobs.errors.JobExpired")
    assert burial.error_message == "it was not to start after 2020-01-01 00:00:00 UTC"
    row = run.row()
    assert (row.state, row.attempts, row.history.get().outcome) == ("dead", 0, "expired")


def test_a_run_that_expired_may_be_discarded_instead(make_job):
    run = make_job(never, expires=timedelta(minutes=5), expired=Discard).using(expires=LONG_AGO).enqueue()
    work_off()
    assert (run.state, DeadJob.objects.count()) == ("discarded", 0)


def test_a_run_that_is_in_time_starts(make_job):
    run = make_job(lambda: 7, expires=timedelta(hours=1)).enqueue()
    work_off()
    assert run.result == 7


def test_the_expiry_counts_from_when_a_run_is_due(make_job):
    job = make_job(lambda: 7, expires=timedelta(minutes=1))
    run = job.enqueue_in(timedelta(hours=5))
    told = json.loads(hash_of(run.id)["bounds"])
    assert told["expires"] == int((run.due_at + timedelta(minutes=1)).timestamp() * 1000)
    assert drain(due=True).counts == {"done": 1}


def test_a_retry_that_would_come_after_the_expiry_ends_the_run_at_once(make_job):
    job = make_job(fails_with(OSError("down")), retry=RetryPolicy(backoff=fixed(3600)), expires=timedelta(minutes=10))
    job.enqueue()
    assert drain().counts == {"bury": 1}
    assert [(one.reason, one.error_message) for one in DeadJob.objects.all()] == [("expired", "down")]


def test_what_waited_beyond_its_expiry_for_another_reason_is_not_started(make_job):
    make_job(fails_with(PutOffJob(3600)), expires=timedelta(minutes=10)).enqueue()
    attempt_next()
    let_time_pass()
    work_off()
    assert DeadJob.objects.get().reason == "expired"


def test_the_expiry_survives_a_redis_that_was_emptied(make_job):
    run = make_job(never).using(expires=LONG_AGO).enqueue()
    client().delete(keys.job(str(run.id)), keys.queue("default"))
    JobRun.objects.update(pushed_at=None)
    assert relay(min_age=None)
    work_off()
    assert DeadJob.objects.get().reason == "expired"


def test_an_expired_run_that_a_person_retries_runs(make_job):
    run = make_job(lambda: 7).using(expires=LONG_AGO).enqueue()
    work_off()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert (run.state, run.result) == ("succeeded", 7)


def test_a_run_without_a_row_expires_too(make_job):
    job = make_job(never, durable=False)
    job.using(expires=LONG_AGO).enqueue()
    work_off()
    burial = DeadJob.objects.get()
    assert (burial.reason, burial.run.options) == ("expired", {"expires_at": LONG_AGO.isoformat()})


def test_each_of_many_expires(make_job):
    make_job(never).using(expires=LONG_AGO).enqueue_many([(), (), ()])
    work_off()
    assert list(DeadJob.objects.values_list("reason", flat=True)) == ["expired"] * 3


def test_an_expiry_is_obeyed_in_line(make_job):
    job = make_job(never, expired=Discard)
    with inline() as jobs:
        job.using(expires=LONG_AGO).enqueue()
    assert [(one.outcome, one.verdict) for one in jobs.attempts] == [("expired", "discard")]


@pytest.mark.parametrize("damage", ["", "{", "[]", "7", '{"expires": "x", "failures": [1]}', '{"since": -1}', "\x00"])
def test_a_damaged_field_bounds_nothing(make_job, damage):
    run = make_job(lambda: 7).enqueue()
    client().hset(keys.job(str(run.id)), "bounds", damage)
    work_off()
    assert run.result == 7


@pytest.mark.parametrize("expires", [60, timedelta(0), -timedelta(1), datetime(2026, 1, 1), "1h"])
def test_an_expiry_that_cannot_be_is_refused_with_what_to_pass(make_job, expires):
    job = make_job(lambda: 7)
    with pytest.raises(BadOptions, match=r"aware datetime|timedelta above 0"):
        job.using(expires=expires)
    with pytest.raises(BadOptions, match="timedelta above 0"):
        make_job(lambda: 7, expires=expires)


def test_an_expiry_beyond_the_end_of_the_calendar_is_refused(make_job):
    with pytest.raises(BadOptions, match="dates end before that"):
        make_job(lambda: 7).using(expires=timedelta.max).enqueue()
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("options", [{"expired": "discard"}, {"traceback_lines": -1}, {"traceback_lines": True}])
def test_other_options_that_cannot_be_are_refused(make_job, options):
    with pytest.raises(BadOptions, match=next(iter(options))):
        make_job(lambda: 7, **options)


# Lines of tracebacks.


def outer():
    inner()


def inner():
    raise OSError("down")


def traceback_of(job):
    run = job.enqueue()
    work_off()
    return run.row().history.get().traceback


def test_a_job_keeps_as_many_lines_of_a_traceback_as_it_says(make_job, jobs_settings):
    whole = traceback_of(make_job(outer, retry=1))
    assert whole.startswith("Traceback")
    last = traceback_of(make_job(outer, retry=1, traceback_lines=3)).splitlines()
    assert last[0] == f"… {len(whole.splitlines()) - 3} lines left out …"
    assert last[1:] == whole.splitlines()[-3:]
    assert traceback_of(make_job(outer, retry=1, traceback_lines=0)) == ""
    jobs_settings(TRACEBACK_LINES=1)
    assert traceback_of(make_job(outer, retry=1)).splitlines()[1:] == ["OSError: down"]


def test_a_job_without_a_traceback_still_says_what_was_wrong(make_job):
    traceback_of(make_job(outer, retry=1, traceback_lines=0))
    burial = DeadJob.objects.get()
    assert (burial.error_class, burial.error_message) == ("OSError", "down")


def test_the_wait_of_a_list_is_taken_by_the_count_of_its_rule(make_job):
    policy = RetryPolicy(rules={Busy: RetryPolicy(backoff=delays([5, 50]), jitter=0)})
    make_job(fails_with(OSError(), Busy(), OSError(), Busy()), retry=policy).enqueue()
    assert [round(one.wait_seconds) for one in drain(due=True)][1::2] == [5, 50]


# The jobs that docs/retrying.md shows.


@pytest.fixture
def noted(tmp_path, monkeypatch):
    ledger = tmp_path / "ledger"
    ledger.touch()
    monkeypatch.setenv("SAMPLE_LEDGER", str(ledger))
    return lambda: ledger.read_text().splitlines()


def test_what_the_guide_says_of_a_malformed_address_is_true(noted):
    sample.announce_parcel.enqueue(400)
    assert drain(due=True).counts == {"bury": 1, "done": 1}
    assert noted() == ["tests.sample.announce_parcel {'parcel_id': 400} is dead (permanent): no street"]


def test_what_the_guide_says_of_an_unknown_parcel_is_true(noted):
    sample.announce_parcel.enqueue(404)
    drained = drain(due=True)
    assert [(one.verdict, round(one.wait_seconds)) for one in drained] == [("retry", 10), ("retry", 10), ("discard", 0)]
    assert noted() == []


def test_what_the_guide_says_of_a_partner_that_is_down_is_true(noted):
    sample.announce_parcel.enqueue(503)
    counts = drain(due=True).counts
    assert (counts["bury"], counts["done"], counts["retry"] <= 19) == (1, 1, True)
    assert len(noted()) == 1


def test_what_the_guide_says_of_a_login_code_is_true(noted):
    sample.send_login_code.enqueue(17)
    late = sample.send_login_code.using(expires=LONG_AGO).enqueue(18)
    assert drain().counts == {"done": 1, "discard": 1}
    assert (noted(), late.state) == (["code 17"], "discarded")
