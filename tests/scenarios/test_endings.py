"""Every way an attempt can end, through a real worker, down to the rows."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from jobs.broker.connection import client
from jobs.models import DeadJob, JobAttempt, JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, states, wait_until


def test_a_job_runs_and_its_result_is_on_its_row(workers: Workers) -> None:
    run = sample.add.enqueue(2, right=3)
    later = sample.add_later.enqueue(4, 5)
    workers.burst()
    row = run.row()
    assert (row.state, row.result, row.attempts) == ("succeeded", 5, 1)
    # The journal counts in milliseconds, and drops what is less.
    times = [row.created_at - timedelta(milliseconds=1), row.pushed_at, row.started_at, row.ended_at]
    assert times == sorted(times)
    assert later.result == 9
    assert workers.ledger() == ["add 2 3"]


def test_a_failing_job_is_retried_then_buried_with_its_traceback(workers: Workers) -> None:
    run = sample.fail.enqueue(7)
    worker = workers.start("--max-jobs", "3")
    assert worker.wait(timeout=30) == 0
    assert workers.ledger() == ["fail 7 1", "fail 7 2", "fail 7 3"]
    row = run.row()
    assert (row.state, row.attempts, row.error_class, row.error_message) == ("dead", 3, "ValueError", "no 7")
    attempts = JobAttempt.objects.filter(run=row).order_by("number")
    assert [attempt.verdict for attempt in attempts] == ["retry", "retry", "bury"]
    assert 'raise ValueError(f"no {number}")' in attempts[0].traceback
    assert "jobs/worker" not in attempts[0].traceback
    assert DeadJob.objects.get(run=row).reason == "exhausted"


def test_a_failure_that_passes_is_retried_until_it_succeeds(workers: Workers) -> None:
    run = sample.fail_until.enqueue(3)
    assert workers.start("--max-jobs", "3").wait(timeout=30) == 0
    assert (run.state, run.result) == ("succeeded", "at attempt 3")


def test_rules_bury_discard_and_wait_as_they_say(workers: Workers) -> None:
    hows = ["refused", "gone", "discard", "later"]
    runs = {how: sample.end_as.enqueue(how) for how in hows}
    assert workers.start("--max-jobs", "5").wait(timeout=30) == 0
    assert {how: run.state for how, run in runs.items()} == {
        "refused": "dead",
        "gone": "discarded",
        "discard": "discarded",
        "later": "succeeded",
    }
    assert runs["refused"].row().attempts == 1
    assert DeadJob.objects.get().reason == "permanent"
    waited = JobAttempt.objects.get(run=runs["later"].id)
    assert timedelta(seconds=0.3) <= waited.next_at - waited.ended_at < timedelta(seconds=0.4)


def test_a_time_limit_ends_a_job_that_swallows_every_exception(workers: Workers) -> None:
    hanging, polite = sample.hang.enqueue(), sample.hang_politely.enqueue()
    workers.burst()
    assert [hanging.state, polite.state] == ["dead", "dead"]
    assert "swallowed" not in workers.ledger()
    assert hanging.row().error_class == "jobs.errors.JobTimedOut"


def test_a_job_that_exits_ends_itself_and_not_the_worker(workers: Workers) -> None:
    left, added = sample.leave.enqueue(), sample.add.enqueue(1, 1)
    workers.burst()
    assert left.row().error_class == "SystemExit"
    assert added.state == "succeeded"


def test_the_first_queue_named_goes_first(workers: Workers) -> None:
    sample.add.enqueue_many([(n, 0) for n in range(5)])
    sample.urgent.enqueue_many([(n,) for n in range(5)])
    workers.burst("--concurrency", "1")
    assert [line.split()[0] for line in workers.ledger()] == ["urgent"] * 5 + ["add"] * 5


def test_runs_start_in_the_order_they_were_asked_for(workers: Workers) -> None:
    sample.add.enqueue_many([(n, 0) for n in range(50)])
    workers.burst("--concurrency", "1")
    assert workers.ledger() == [f"add {n} 0" for n in range(50)]


def test_a_delayed_run_waits_for_its_time_with_no_further_flag(workers: Workers) -> None:
    worker = workers.start("--max-jobs", "3")
    first = sample.add.enqueue(0, 0)
    wait_until(lambda: first.state == "succeeded", seconds=30, what="the worker")
    run = sample.add.enqueue_in(timedelta(seconds=1), 1, 2)
    at = sample.add.enqueue_at(timezone.now() + timedelta(seconds=1.2), 3, 4)
    assert run.state == "scheduled"
    assert worker.wait(timeout=30) == 0
    for row in (run.row(), at.row()):
        assert row.state == "succeeded"
        assert timedelta(0) <= row.started_at - row.due_at < timedelta(seconds=2)


def test_a_run_that_is_not_durable_leaves_a_row_only_when_it_fails(workers: Workers) -> None:
    sample.flood.enqueue_many([(n,) for n in range(20)])
    sample.flood.enqueue(99, fails=True)
    assert JobRun.objects.count() == 0
    assert workers.start("--max-jobs", "22").wait(timeout=30) == 0
    assert len(workers.ledger()) == 22
    row = JobRun.objects.get()
    assert (row.state, row.attempts, row.arguments) == ("dead", 2, {"number": 99, "fails": True})


def test_secrets_reach_the_job_and_nothing_that_is_shown(workers: Workers) -> None:
    run = sample.charge.enqueue("tok_4711secret", 17)
    assert workers.start("--max-jobs", "2").wait(timeout=30) == 0
    row = run.row()
    assert row.payload == [["tok_4711secret", 17], {}]
    shown = (
        f"{row.arguments} {row.error_message} {list(JobAttempt.objects.values())} {DeadJob.objects.get().error_message}"
    )
    assert "tok_4711secret" not in shown
    assert "refused for order 17" in shown
    assert "tok_4711secret" not in workers.log()


def test_what_is_ended_leaves_only_a_short_marker_in_redis(workers: Workers) -> None:
    runs = sample.add.enqueue_many([(n, 0) for n in range(10)])
    workers.burst()
    assert states() == {"succeeded": 10}
    for run in runs:
        key = f"rq:job:{run.id}"
        assert set(client().hgetall(key)) == {b"life", b"status"}
        assert 0 < client().ttl(key) <= 60
    assert client().xlen("jobs:journal") == 0
    assert not client().keys("jobs:held:*")


def test_async_jobs_do_not_wait_for_each_others_threads(workers: Workers) -> None:
    sample.wait_in_a_thread.enqueue_many([(0.8, n) for n in range(4)])
    workers.burst()
    lines = workers.ledger()
    assert sorted(lines[:4]) == [f"start {n}" for n in range(4)]
    assert states() == {"succeeded": 4}
