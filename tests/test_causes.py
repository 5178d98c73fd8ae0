"""Failures of one kind are one cause: counted once each, whatever the journal repeats, and named by the dead jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import DiscardJob, RetryLater, RetryPolicy, dead, fixed, recorder
from jobs.broker import journal
from jobs.models import DeadJob, FailureCause, JobAttempt, JobRun
from jobs.models.causes import CauseState
from jobs.policy.outcome import Abandoned, Crashed
from jobs.recorder import causes as counting
from jobs.registry import Job
from jobs.worker import lifecycle
from tests.engine import WORKER, a_run, claim, make_job, settle, work_off
from tests.sample import jobs as sample
from tests.test_dead import a_dead_run
from tests.test_recorder import again, settled, write

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

ONCE = RetryPolicy(attempts=1)


def fail(number: int) -> None:
    raise LookupError(f"Order {number} not found")


def fail_elsewhere(number: int) -> None:
    raise LookupError(f"Order {number} not found")


@pytest.fixture
def failing(make_job: Callable[..., Job[..., Any]]) -> Job[..., Any]:
    """A job whose runs die at once."""
    return make_job(fail, name="tests.failing", retry=ONCE)


def test_failures_of_one_kind_are_one_cause(failing: Job[..., Any], jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(RELEASE="r7")
    runs = [failing.enqueue(number) for number in (17, 18, 19)]
    work_off()
    cause = FailureCause.objects.get()
    assert (cause.name, cause.error_class, cause.message) == ("tests.failing", "LookupError", "Order # not found")
    assert cause.frames == ["tests.test_causes fail"]
    assert (cause.count, cause.state, cause.first_release) == (3, "new", "r7")
    assert (cause.sample, cause.last_run) == ("Order 19 not found", runs[2].id)
    assert sum(cause.hours.values()) == 3
    assert cause.first_seen_at <= cause.last_seen_at
    assert {dead_job.cause for dead_job in DeadJob.objects.all()} == {cause}
    assert set(JobAttempt.objects.values_list("fingerprint", flat=True)) == {cause.fingerprint}


def test_the_same_error_at_another_place_is_another_cause(make_job: Callable[..., Job[..., Any]]) -> None:
    for function in (fail, fail_elsewhere):
        make_job(lambda number, function=function: function(number), name="tests.failing", retry=ONCE).enqueue(1)
        work_off()
    assert FailureCause.objects.count() == 2


def test_attempts_that_are_tried_again_count_too(make_job: Callable[..., Job[..., Any]]) -> None:
    run = make_job(fail, retry=RetryPolicy(attempts=3, backoff=fixed(60), jitter=0)).enqueue(1)
    for _ in range(3):
        work_off()
        again(run.id)
    assert FailureCause.objects.get().count == 3
    assert DeadJob.objects.get().cause == FailureCause.objects.get()


@pytest.mark.parametrize("error", [DiscardJob("nothing to do"), RetryLater(60)])
def test_what_a_job_raises_on_purpose_is_no_failure(make_job: Callable[..., Job[..., Any]], error: Exception) -> None:
    def stop() -> None:
        raise error

    make_job(stop).enqueue()
    work_off()
    assert JobAttempt.objects.get().fingerprint == ""
    assert not FailureCause.objects.exists()


def test_an_interruption_is_no_failure() -> None:
    sample.add.enqueue(1, 2)
    settle(WORKER, [lifecycle.conclude(claim()[0], Abandoned(), worker="tester", run_ms=1)])
    settle(WORKER, [lifecycle.conclude(claim()[0], Crashed(alone=False), worker="tester", run_ms=1)])
    recorder.record_all()
    assert not FailureCause.objects.exists()


def test_a_crash_has_a_cause_though_nothing_was_raised() -> None:
    sample.add.enqueue(1, 2)
    settle(WORKER, [lifecycle.conclude(claim()[0], Crashed(alone=True), worker="tester", run_ms=1)])
    recorder.record_all()
    cause = FailureCause.objects.get()
    assert (cause.name, cause.error_class, cause.count) == ("tests.sample.add", "crashed", 1)


def test_arguments_that_do_not_fit_have_a_cause() -> None:
    run = sample.add.enqueue(1, 2)
    JobRun.objects.filter(pk=run.id).update(payload=[[1], {}])
    taken = claim()[0]
    settle(WORKER, [lifecycle.conclude(taken, lifecycle.NotAccepted(TypeError("no b")), worker="t", run_ms=0)])
    recorder.record_all()
    assert DeadJob.objects.get().cause.error_class == "TypeError"


def test_a_death_that_an_older_worker_told_of_has_a_cause() -> None:
    row = a_run("queued")
    facts = {"outcome": "raised", "verdict": "bury", "reason": "exhausted"}
    write(settled(row.pk, **facts, error_class="OSError", error_message="no 1", traceback=""))
    recorder.record_all()
    assert DeadJob.objects.get().cause == FailureCause.objects.get(error_class="OSError", message="no #")


# Once each.


def test_a_journal_that_is_read_again_counts_no_failure_twice(make_job: Callable[..., Job[..., Any]]) -> None:
    run = make_job(fail, retry=RetryPolicy(attempts=3, backoff=fixed(60), jitter=0)).enqueue(1)
    settle(WORKER, [lifecycle.attempt(claim()[0], worker="tester")])
    told = [entry.data for entry in journal.read(journal.FIRST, most=9)]
    recorder.record_all()
    for entry in told * 2:
        write(entry)
    recorder.record_all()
    assert FailureCause.objects.get().count == 1
    assert run.row().history.count() == 1


def test_entries_that_are_stored_one_by_one_count_once(failing: Job[..., Any]) -> None:
    for number in range(3):
        failing.enqueue(number)
        settle(WORKER, [lifecycle.attempt(claim()[0], worker="tester")])
    # What the database refuses has all the others stored one after the other.
    write(settled(a_run("queued").pk, verdict="no such verdict"))
    recorder.record_all()
    assert FailureCause.objects.get().count == 3


def test_runs_that_succeed_ask_nothing_of_causes() -> None:
    sample.add.enqueue(1, 2)
    settle(WORKER, [lifecycle.attempt(claim()[0], worker="tester")])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        recorder.record_all()
    assert not [one for one in queries.captured_queries if "failurecause" in one["sql"]]


def test_many_failures_of_few_causes_are_a_handful_of_queries(failing: Job[..., Any]) -> None:
    failing.enqueue(1)
    work_off()
    failing.enqueue_many([(number,) for number in range(40)])
    settle(WORKER, [lifecycle.attempt(one, worker="tester") for one in claim(40)])
    with CaptureQueriesContext(connection) as queries:
        recorder.record_all()
    told = [one["sql"] for one in queries.captured_queries if "failurecause" in one["sql"]]
    assert len(told) == 2
    assert FailureCause.objects.get().count == 41


def test_a_job_whose_every_message_is_another_does_not_fill_the_table(
    make_job: Callable[..., Job[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def babble(word: str) -> None:
        raise LookupError(word)

    monkeypatch.setattr(counting, "MOST_PER_JOB", 2)
    babbling = make_job(babble, name="tests.babbling", retry=ONCE)
    for word in ("one", "two", "three", "four", "one"):
        babbling.enqueue(word)
        work_off()
    counts = dict(FailureCause.objects.values_list("error_class", "count").filter(error_class="(various)"))
    assert counts == {"(various)": 2}
    assert FailureCause.objects.count() == 3
    assert DeadJob.objects.filter(cause__error_class="(various)").count() == 2


# Seen again.


def decide(state: str, *, ago: timedelta = timedelta(0), **facts: Any) -> None:
    FailureCause.objects.update(state=state, decided_at=timezone.now() - ago, **facts)


def test_what_was_resolved_and_fails_again_has_regressed(
    failing: Job[..., Any], jobs_settings: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    failing.enqueue(1)
    work_off()
    decide(CauseState.RESOLVED)
    jobs_settings(RELEASE="r8")
    failing.enqueue(2)
    with caplog.at_level(logging.WARNING, logger="jobs.recorder"):
        work_off()
    cause = FailureCause.objects.get()
    assert (cause.state, cause.regressed_in, cause.count) == ("regressed", "r8", 2)
    assert "tests.failing fails again in a way that was resolved: LookupError" in caplog.text


def test_what_failed_before_it_was_resolved_and_is_told_late_has_not_regressed(failing: Job[..., Any]) -> None:
    failing.enqueue(1)
    work_off()
    failing.enqueue(2)
    settle(WORKER, [lifecycle.attempt(claim()[0], worker="tester")])
    decide(CauseState.RESOLVED, ago=timedelta(minutes=-1))
    recorder.record_all()
    assert FailureCause.objects.get().state == "resolved"


@pytest.mark.parametrize(("minutes", "state"), [(5, "snoozed"), (-5, "new")])
def test_a_snoozed_cause_wakes_when_its_time_is_over(failing: Job[..., Any], minutes: int, state: str) -> None:
    failing.enqueue(1)
    work_off()
    decide(CauseState.SNOOZED, snoozed_until=timezone.now() + timedelta(minutes=minutes))
    failing.enqueue(2)
    work_off()
    assert FailureCause.objects.get().state == state


def test_an_ignored_cause_counts_and_stays_ignored(failing: Job[..., Any]) -> None:
    failing.enqueue(1)
    work_off()
    decide(CauseState.IGNORED)
    failing.enqueue(2)
    work_off()
    cause = FailureCause.objects.get()
    assert (cause.state, cause.count) == ("ignored", 2)


# What was there before.


def test_dead_jobs_of_before_are_given_causes_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    migration = import_module("jobs.migrations.0008_causes_of_dead_jobs")
    monkeypatch.setattr(migration, "AT_ONCE", 2)
    dead_jobs = [a_dead_run(error_message=f"no {number}", died=timedelta(minutes=9 - number)) for number in range(5)]
    killed = a_dead_run(error_class="", error_message="", reason="killed_worker")
    migration.give_causes(apps, SimpleNamespace(connection=connection))
    cause = FailureCause.objects.get(message="no #")
    assert (cause.count, cause.error_class, cause.sample) == (5, "OSError", "no 4")
    assert (cause.first_seen_at, cause.last_seen_at) == (dead_jobs[0].died_at, dead_jobs[4].died_at)
    assert cause.burials.count() == 5
    assert DeadJob.objects.get(pk=killed.pk).cause.error_class == "crashed"
    assert set(dead.matching(cause=cause)) == set(dead_jobs)
