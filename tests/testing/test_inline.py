from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import AlreadyPending, circuits, current_run
from jobs.broker.inspect import anything_queued
from jobs.conf import queue_names
from jobs.errors import ArgumentsNotJSON, NoCurrentRun
from jobs.models import JobRun
from jobs.testing import InlineJobs, TooManyRuns, inline
from orders.models import Customer
from tests.sample.jobs import add, add_later, end_as, flood
from tests.testing.chores import (
    call_partner,
    delegate,
    end_by,
    end_unique,
    introduce,
    latest,
    note,
    only,
    only_again,
    recur,
    recur_later,
    refused,
    seen,
    until_started,
)


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    yield
    seen.clear()


def loud(get_result: Callable) -> Callable:
    def middleware(run):
        seen.append(f"before {run.name}")
        return get_result(run)

    return middleware


@transaction.atomic
def register_and_end_by(kind: str) -> None:
    Customer.objects.create(email="a@example.com", name="A")
    end_by.enqueue(kind)


def test_a_run_has_ended_when_enqueue_returns(jobs_inline: InlineJobs) -> None:
    run = add.enqueue(1, 2)
    [attempt] = jobs_inline.attempts
    assert (attempt.id, attempt.name, attempt.verdict, attempt.result) == (run.id, "tests.sample.add", "done", 3)
    assert not anything_queued(queue_names())


def test_async_jobs_run_too(jobs_inline: InlineJobs) -> None:
    add_later.enqueue(1, 2)
    assert jobs_inline.attempts[0].result == 3


def test_a_job_that_keeps_no_row_runs_too(jobs_inline: InlineJobs) -> None:
    flood.enqueue(1)
    assert jobs_inline.attempts.counts == {"done": 1}


def test_arguments_have_been_json(jobs_inline: InlineJobs) -> None:
    note.enqueue((1, 2), {"a": (3,)})
    assert seen == [[[1, 2], {"a": [3]}]]
    with pytest.raises(ArgumentsNotJSON):
        note.enqueue({1, 2})


def test_a_job_knows_its_run(jobs_inline: InlineJobs) -> None:
    run = introduce.using(queue="low", attempts=7).enqueue()
    assert seen == [(run.id, "testing.introduce", "low", 1, 7)]
    with pytest.raises(NoCurrentRun):
        current_run()


def test_it_goes_through_the_middleware(jobs_inline: InlineJobs, jobs_settings: Callable) -> None:
    jobs_settings(MIDDLEWARE=[f"{__name__}.loud"])
    note.enqueue("x")
    assert seen == ["before testing.note", ["x"]]


def test_what_a_job_raises_comes_out_of_enqueue(jobs_inline: InlineJobs) -> None:
    with pytest.raises(ValueError, match="no"):
        end_by.enqueue("value")
    assert jobs_inline.attempts.counts == {"bury": 1}


def test_after_an_error_what_was_to_follow_is_dropped(jobs_inline: InlineJobs) -> None:
    with pytest.raises(ValueError, match="no"):
        end_by.enqueue_many([("value",), ("database",)])
    note.enqueue("fresh")
    assert (len(jobs_inline.attempts), seen) == (2, [["fresh"]])


def test_errors_can_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    with inline(errors="keep") as jobs:
        end_by.enqueue_many([("value",), ("exit",), ("time",)])
        note.enqueue("x")
    assert [type(attempt.error).__name__ for attempt in jobs.attempts.failures] == [
        "ValueError",
        "SystemExit",
        "JobTimedOut",
    ]
    assert jobs.attempts.counts == {"bury": 3, "done": 1}


@pytest.mark.parametrize("how", ["gone", "discard"])
def test_a_job_that_discards_itself_raises_nothing(jobs_inline: InlineJobs, how: str) -> None:
    end_as.enqueue(how)
    assert jobs_inline.attempts.counts == {"discard": 1}
    assert jobs_inline.attempts.failures == []


def test_the_test_runners_own_exceptions_are_never_kept() -> None:
    with inline(errors="keep"), pytest.raises(KeyboardInterrupt):
        end_by.enqueue("ctrl-c")


def test_a_job_that_enqueues_goes_on_first(jobs_inline: InlineJobs) -> None:
    delegate.enqueue(["a", "b"])
    assert seen == ["delegated", ["a"], ["b"]]


def test_a_job_without_end_is_found_out() -> None:
    with inline(max_runs=20), pytest.raises(TooManyRuns, match=r"20 runs were made .* testing\.recur\(\)"):
        recur.enqueue()


def test_what_is_for_later_waits(jobs_inline: InlineJobs) -> None:
    note.enqueue_in(3600, "in an hour")
    note.enqueue_at(timezone.now() + timedelta(minutes=1), "in a minute")
    assert (seen, len(jobs_inline.attempts)) == ([], 0)
    assert [one.arguments["words"] for one in jobs_inline.scheduled] == [["in a minute"], ["in an hour"]]


def test_what_is_for_later_can_be_run(jobs_inline: InlineJobs) -> None:
    note.enqueue_in(3600, "in an hour")
    note.enqueue_in(60, "in a minute")
    assert jobs_inline.run_due().counts == {"done": 2}
    assert (seen, jobs_inline.scheduled) == ([["in a minute"], ["in an hour"]], [])


@pytest.mark.parametrize("kind", ["seconds", "timedelta", "time"])
def test_what_is_due_later_than_asked_for_waits_on(jobs_inline: InlineJobs, kind: str) -> None:
    note.enqueue_in(3600, "in an hour")
    note.enqueue_in(60, "in a minute")
    two_minutes = timedelta(minutes=2)
    jobs_inline.run_due({"seconds": 120, "timedelta": two_minutes, "time": timezone.now() + two_minutes}[kind])
    assert (seen, len(jobs_inline.scheduled)) == ([["in a minute"]], 1)


def test_a_job_that_schedules_itself_runs_once_a_call(jobs_inline: InlineJobs) -> None:
    recur_later.enqueue()
    jobs_inline.run_due()
    jobs_inline.run_due()
    assert (seen, len(jobs_inline.scheduled)) == (["again"] * 3, 1)


def test_a_unique_job_is_pending_until_it_has_run(jobs_inline: InlineJobs) -> None:
    only_again.enqueue(1)
    assert seen == [False]
    assert only.enqueue("x").created
    assert only.enqueue("x").created


def test_a_unique_job_that_is_scheduled_is_not_scheduled_again(jobs_inline: InlineJobs) -> None:
    first = only.using(at=60).enqueue("x")
    second = only.enqueue("x")
    assert (second.id, second.created, len(jobs_inline.scheduled)) == (first.id, False, 1)


@pytest.mark.django_db
def test_an_equal_run_that_waits_is_replaced(jobs_inline: InlineJobs) -> None:
    latest.enqueue_in(60, "a", "old")
    latest.enqueue_in(60, "a", "new")
    with transaction.atomic():
        latest.enqueue("b", "old")
        latest.enqueue("b", "new")
    jobs_inline.run_due()
    assert seen == ["new", "new"]


@pytest.mark.django_db
def test_an_equal_run_is_refused_while_it_waits(jobs_inline: InlineJobs) -> None:
    refused.enqueue_in(60, "a")
    with pytest.raises(AlreadyPending):
        refused.enqueue("a")
    jobs_inline.run_due()
    refused.enqueue("a")
    assert seen == ["a", "a"]


def test_until_it_has_started_means_that_it_may_ask_for_itself(jobs_inline: InlineJobs) -> None:
    until_started.enqueue("a", 1)
    assert seen == [True, "last"]


def test_a_unique_job_that_failed_may_be_asked_for_again() -> None:
    with inline(errors="keep") as jobs:
        for _ in range(2):
            assert end_unique.enqueue("x").created
    assert len(jobs.attempts) == 2


@pytest.mark.django_db
def test_a_run_leaves_no_row(jobs_inline: InlineJobs) -> None:
    run = note.enqueue("x")
    assert isinstance(run.id, uuid.UUID)
    assert not JobRun.objects.exists()


WRAPPED_OR_NOT = [
    pytest.param(False, marks=pytest.mark.django_db, id="in a test's transaction"),
    pytest.param(True, marks=pytest.mark.django_db(transaction=True), id="with real commits"),
]


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_a_run_waits_for_the_commit(jobs_inline: InlineJobs, commits: bool) -> None:
    with transaction.atomic():
        note.enqueue("early")
        with transaction.atomic():
            note.enqueue("deep")
        assert seen == []
    assert seen == [["early"], ["deep"]]


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_a_run_of_a_rolled_back_transaction_never_starts(jobs_inline: InlineJobs, commits: bool) -> None:
    with transaction.atomic():
        note.enqueue("kept")
        with transaction.atomic():
            note.enqueue("dropped")
            only.enqueue("dropped")
            transaction.set_rollback(True)
    assert only.enqueue("dropped").created
    assert seen == [["kept"], "dropped"]


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_what_a_job_raises_comes_out_of_the_transaction(jobs_inline: InlineJobs, commits: bool) -> None:
    with pytest.raises(ValueError, match="no"):
        register_and_end_by("value")
    assert Customer.objects.count() == 1


@pytest.mark.django_db
def test_a_transaction_without_a_savepoint_is_over_at_the_end_of_the_block() -> None:
    with inline():
        with transaction.atomic(savepoint=False):
            note.enqueue("x")
        assert seen == []
    assert seen == [["x"]]


@pytest.mark.django_db
def test_a_database_error_of_a_job_leaves_the_tests_transaction_usable(jobs_inline: InlineJobs) -> None:
    with pytest.raises(IntegrityError, match="twice"):
        register_and_end_by("database")
    assert Customer.objects.count() == 1


def test_it_decorates_a_function() -> None:
    @inline()
    def ask() -> None:
        note.enqueue("x")

    ask()
    assert seen == [["x"]]


def test_a_circuit_lets_all_through_and_hears_of_no_failure() -> None:
    with inline(errors="keep") as jobs:
        for _ in range(7):
            call_partner.enqueue()
    assert (seen, jobs.attempts.counts) == (["called"] * 7, {"retry": 7})
    assert "testing.partner" not in [one.name for one in circuits.statuses() if one.failures]
    with circuits.circuit("testing.partner"):
        pass
