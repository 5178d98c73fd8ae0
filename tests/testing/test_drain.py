from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from jobs import PutOffJob, RetryPolicy, fixed
from jobs.broker import inspect, keys
from jobs.broker.connection import client
from jobs.broker.embedded import embedded_server
from jobs.broker.inspect import queues_now
from jobs.errors import UnknownQueue
from jobs.models import DeadJob, JobRun, RunState, SentEmail
from jobs.testing import Attempts, NotATestServer, TooManyRuns, drain
from jobs.testing.servers import _led_to
from tests.sample.jobs import (
    add,
    charge,
    end_as,
    fail,
    fail_until,
    flood,
    hang,
    hang_politely,
    once,
    urgent,
    write_politely,
)
from tests.testing.chores import call_partner, delegate, end_by, introduce, note, only_again, recur, recur_later, seen

Drain = Callable[..., Attempts]

WRAPPED_OR_NOT = [
    pytest.param(False, id="in a test's transaction"),
    pytest.param(True, marks=pytest.mark.django_db(transaction=True), id="with real commits"),
]


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    yield
    seen.clear()


def state(run) -> str:
    return RunState(run.row().state).value


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_what_is_queued_runs_and_its_rows_say_so(jobs_drain: Drain, commits: bool) -> None:
    run = add.enqueue(1, 2)
    drained = jobs_drain()
    assert (state(run), run.result, run.row().attempts) == ("succeeded", 3, 1)
    [attempt] = drained
    assert (attempt.id, attempt.call, attempt.number) == (run.id, "tests.sample.add(left=1, right=2)", 1)
    assert (attempt.outcome, attempt.verdict, attempt.result, attempt.error) == ("returned", "done", 3, None)
    assert drained.runs() == [run.row()]


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_nothing_runs_twice(jobs_drain: Drain, commits: bool) -> None:
    note.enqueue("x")
    assert (len(jobs_drain()), len(jobs_drain())) == (1, 0)
    assert seen == [["x"]]


def test_a_rolled_back_run_does_not_run(jobs_drain: Drain) -> None:
    with transaction.atomic():
        note.enqueue("x")
        transaction.set_rollback(True)
    assert len(jobs_drain()) == 0


@pytest.mark.parametrize("commits", WRAPPED_OR_NOT)
def test_what_jobs_enqueue_runs_too(jobs_drain: Drain, commits: bool) -> None:
    run = delegate.enqueue(["a", "b"])
    assert jobs_drain().counts == {"done": 3}
    assert seen == ["delegated", ["a"], ["b"]]
    assert set(JobRun.objects.filter(name="testing.note").values_list("parent", flat=True)) == {run.id}


def test_queues_are_taken_in_order(jobs_drain: Drain) -> None:
    note.using(queue="low").enqueue("low")
    note.using(queue="critical").enqueue("critical")
    note.enqueue("default")
    jobs_drain()
    assert seen == [["critical"], ["default"], ["low"]]


def test_other_queues_are_left_alone(jobs_drain: Drain) -> None:
    left = urgent.enqueue(1)
    note.enqueue("x")
    assert jobs_drain(queues=["default", "low"]).counts == {"done": 1}
    assert state(left) == "queued"


def test_a_queue_that_is_not_there_is_named(jobs_drain: Drain) -> None:
    with pytest.raises(UnknownQueue, match='Did you mean "default"'):
        jobs_drain(queues=["defualt"])


def test_a_failure_is_kept_and_waits_for_its_retry(jobs_drain: Drain, make_job: Any) -> None:
    # Its retry is far away: on a slow machine a near one would be due within the call.
    run = make_job(fail.function, retry=RetryPolicy(attempts=3, backoff=fixed(600))).enqueue(7)
    drained = jobs_drain()
    [attempt] = drained.failures
    assert (attempt.verdict, str(attempt.error), attempt.wait_seconds > 0) == ("retry", "no 7", True)
    assert state(run) == "retrying"
    assert repr(attempt) == f"<{run.name}(number=7) attempt 1: retry: ValueError('no 7')>"


def test_due_runs_retries_to_their_end_at_once(jobs_drain: Drain) -> None:
    run = fail.enqueue(7)
    drained = jobs_drain(due=True)
    assert drained.counts == {"retry": 2, "bury": 1}
    assert [attempt.number for attempt in drained.of(fail)] == [1, 2, 3]
    assert (state(run), DeadJob.objects.get().reason) == ("dead", "exhausted")
    assert run.row().history.count() == 3


def test_due_runs_a_retry_that_succeeds(jobs_drain: Drain) -> None:
    run = fail_until.enqueue(3)
    assert jobs_drain(due=True).counts == {"retry": 2, "done": 1}
    assert run.result == "at attempt 3"


def test_what_is_for_later_waits(jobs_drain: Drain) -> None:
    run = note.enqueue_in(3600, "x")
    assert len(jobs_drain()) == 0
    assert state(run) == "scheduled"


def test_due_runs_what_is_for_later_in_the_order_of_its_times(jobs_drain: Drain) -> None:
    note.enqueue_in(7200, "in two hours")
    note.enqueue_in(60, "in a minute")
    note.enqueue_in(3600, "in an hour")
    note.enqueue("now")
    assert jobs_drain(due=True).counts == {"done": 4}
    assert seen == [["now"], ["in a minute"], ["in an hour"], ["in two hours"]]


@pytest.mark.parametrize(("how", "verdict"), [("refused", "bury"), ("gone", "discard"), ("discard", "discard")])
def test_every_ending_is_judged_as_in_production(jobs_drain: Drain, how: str, verdict: str) -> None:
    run = end_as.enqueue(how)
    drained = jobs_drain()
    assert (drained.counts, bool(drained.failures)) == ({verdict: 1}, verdict == "bury")
    assert state(run) == {"bury": "dead", "discard": "discarded"}[verdict]


def test_a_job_knows_its_run(jobs_drain: Drain) -> None:
    run = introduce.using(queue="low", attempts=7).enqueue()
    jobs_drain()
    assert seen == [(run.id, "testing.introduce", "low", 1, 7)]


def test_a_unique_job_is_pending_until_it_has_run(jobs_drain: Drain) -> None:
    only_again.enqueue(1)
    jobs_drain()
    assert seen == [False]
    assert (once.enqueue("a").created, once.enqueue("a").created) == (True, False)
    jobs_drain()
    assert once.enqueue("a").created


@pytest.mark.parametrize("job", [hang, hang_politely])
def test_time_limits_strike(jobs_drain: Drain, job) -> None:
    run = job.enqueue()
    started = time.monotonic()
    [attempt] = jobs_drain()
    assert (attempt.outcome, attempt.verdict, state(run)) == ("timed out", "bury", "dead")
    assert time.monotonic() - started < 5


def test_secrets_are_masked_in_what_is_kept(jobs_drain: Drain) -> None:
    charge.enqueue("tok_visa", 7)
    assert jobs_drain()[0].call == "tests.sample.charge(card='[redacted]', order_id=7)"


@pytest.mark.django_db(transaction=True)
def test_a_run_without_a_row_runs_after_its_commit(jobs_drain: Drain, make_job: Any) -> None:
    later = make_job(flood.function, durable=False, retry=RetryPolicy(attempts=2, backoff=fixed(600)))
    later.enqueue(1)
    fails = later.enqueue(2, fails=True)
    drained = jobs_drain()
    assert drained.counts == {"done": 1, "retry": 1}
    assert [row.pk for row in drained.runs()] == [fails.id]


def test_an_unknown_job_is_put_off_once_a_call(jobs_drain: Drain) -> None:
    run = add.enqueue(1, 2)
    JobRun.objects.filter(pk=run.id).update(name="tests.sample.removed")
    assert jobs_drain(due=True).counts == {"put off": 1}
    assert state(run) == "scheduled"


def test_a_job_that_puts_itself_off_is_tried_once_a_call(jobs_drain: Drain, make_job: Any) -> None:
    waits = [PutOffJob(60, "the warehouse is closed")] * 2

    def ship() -> None:
        if waits:
            raise waits.pop()

    run = make_job(ship).enqueue()
    drained = [jobs_drain(due=True) for _ in range(3)]
    assert [attempts.counts for attempts in drained] == [{"put off": 1}, {"put off": 1}, {"done": 1}]
    assert drained[0].failures == []
    assert state(run) == "succeeded"


def test_a_job_without_end_is_found_out(jobs_drain: Drain) -> None:
    recur.enqueue()
    with pytest.raises(TooManyRuns, match=r"5 runs were made .* testing\.recur\(\)"):
        jobs_drain(max_runs=5)
    assert JobRun.objects.filter(state=RunState.SUCCEEDED).count() == 5


def test_a_job_that_schedules_itself_is_found_out_when_all_is_due(jobs_drain: Drain) -> None:
    recur_later.enqueue()
    with pytest.raises(TooManyRuns):
        jobs_drain(due=True, max_runs=5)


def test_as_many_runs_as_are_allowed_are_no_error(jobs_drain: Drain) -> None:
    note.enqueue_many([(1,), (2,), (3,)])
    assert len(jobs_drain(max_runs=3)) == 3


def test_the_test_runners_own_exceptions_end_the_drain_and_lose_nothing(jobs_drain: Drain) -> None:
    run = end_by.enqueue("ctrl-c")
    with pytest.raises(KeyboardInterrupt):
        jobs_drain()
    assert queues_now(["default"])[0].depth == 1
    assert run.row().attempts == 0


def test_nothing_is_left_held_or_unrecorded(jobs_drain: Drain) -> None:
    note.enqueue("x")
    fail.enqueue(1)
    jobs_drain()
    assert client().keys("jobs:held:*") == []
    assert client().zcard(keys.LEASES) == 0
    assert inspect.journal_now().length == 0


def test_attempts_read_like_a_list(jobs_drain: Drain) -> None:
    note.enqueue_many([("a",), ("b",)])
    add.enqueue(1, 2)
    drained = jobs_drain()
    assert [attempt.name for attempt in drained] == ["testing.note", "testing.note", "tests.sample.add"]
    assert drained[0:2] == drained.of("testing.note")
    assert repr(drained).startswith("Attempts([<testing.note(words=['a']) attempt 1: done>,")


def test_a_server_that_no_test_started_is_refused_and_left_alone(db: None) -> None:
    run = add.enqueue(1, 1)
    with embedded_server() as other, _led_to(other.url):
        with pytest.raises(NotATestServer, match="jobs_valkey"):
            drain()
        assert drain(any_server=True).counts == {"done": 1}
    assert run.state == "succeeded"


def test_an_async_job_writes_through_the_connection_of_its_thread(db: None) -> None:
    """Also inside a test's transaction, which no other connection sees."""
    run = write_politely.enqueue("drained")
    assert drain().counts == {"done": 1}
    assert SentEmail.objects.get().kind == "drained"
    assert run.state == "succeeded"


@pytest.mark.django_db
def test_a_circuit_opens_as_ever_and_its_runs_are_put_off(jobs_drain: Drain) -> None:
    run = call_partner.enqueue()
    assert jobs_drain(due=True).counts == {"retry": 5, "put off": 1}
    assert run.state == "scheduled"
