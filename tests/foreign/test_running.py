"""Jobs of plain RQ are claimed, run, settled and recorded like ours, and read as plain RQ's by RQ."""

from __future__ import annotations

import functools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rq import Callback, Queue, Repeat, Retry
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.utils import utcformat

from jobs import dead, lost, reconciling, recorder
from jobs.broker import stops
from jobs.broker.connection import client
from jobs.broker.foreign import row_id
from jobs.broker.schedule import tick
from jobs.broker.settle import settle
from jobs.broker.stops import StopOrder
from jobs.models import DeadJob, JobAttempt, JobRun
from jobs.policy.outcome import Abandoned, Crashed, Interrupted, Raised
from jobs.rq_classes import JobsQueue
from jobs.worker import foreign, lifecycle, orders
from tests.engine import WORKER, claim, places, work_off
from tests.foreign import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("allowed")]


def the_row() -> JobRun:
    return JobRun.objects.get()


def end(outcome: Any) -> None:
    """Let the next claimed run end so without having been run."""
    settle(WORKER, [lifecycle.conclude(claim()[0], outcome, worker=WORKER.name, run_ms=0)])
    recorder.record_all()


def test_a_job_of_plain_rq_succeeds_and_is_recorded(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, right=2)
    work_off()
    row = the_row()
    assert (row.name, row.state, row.result, row.attempts, row.rq_id) == (
        "tests.foreign.tasks.add",
        "succeeded",
        3,
        1,
        rq_job.id,
    )
    assert str(row.pk) != rq_job.id
    assert row.arguments == {"left": 1, "right": 2}


def test_rq_reads_the_result_and_the_registry(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2, result_ttl=60)
    work_off()
    assert (rq_job.get_status(), rq_job.return_value()) == (JobStatus.FINISHED, 3)
    assert FinishedJobRegistry(queue=queue).get_job_ids() == [rq_job.id]
    assert 0 < client().ttl(f"rq:job:{rq_job.id}") <= 60
    assert 0 < client().ttl(f"rq:results:{rq_job.id}") <= 60
    again = Job.fetch(rq_job.id, connection=client(), serializer=rq_job.serializer)
    assert again.worker_name == WORKER.name
    assert again.ended_at is not None


def test_a_result_that_is_not_to_be_kept_leaves_nothing(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2, result_ttl=0)
    work_off()
    assert client().keys(f"rq:*{rq_job.id}*") == []
    assert the_row().state == "succeeded"


def test_a_result_that_is_kept_for_ever_stays(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2, result_ttl=-1)
    work_off()
    assert client().ttl(f"rq:job:{rq_job.id}") == -1


def test_what_cannot_be_written_as_a_result_is_told_as_rq_tells_it(queue: Queue) -> None:
    rq_job = queue.enqueue("tests.foreign.tasks.odd")
    work_off()
    assert rq_job.get_status() == JobStatus.FINISHED
    assert the_row().state == "succeeded"


def test_a_job_without_retry_fails_once_and_is_dead(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.fail, failure_ttl=60)
    work_off()
    assert rq_job.get_status() == JobStatus.FAILED
    assert "ValueError: no" in rq_job.latest_result().exc_string
    assert FailedJobRegistry(queue=queue).get_job_ids() == [rq_job.id]
    assert 0 < client().ttl(f"rq:job:{rq_job.id}") <= 60
    assert the_row().state == "dead"
    assert DeadJob.objects.get().reason == "exhausted"
    assert JobAttempt.objects.get().error_class == "ValueError"


def test_a_dead_job_that_is_requeued_runs_again_with_all_its_retries(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.fail, "x", retry=Retry(max=1))
    work_off()
    assert len(called) == 2
    assert the_row().state == "dead"
    dead.requeue(DeadJob.objects.get(), actor="ann")
    assert places(rq_job.id) == ["queued:default"]
    work_off()
    assert len(called) == 4
    row = the_row()
    assert (row.state, row.life, row.attempts) == ("dead", 1, 2)


def test_a_dead_job_is_requeued_though_redis_forgot_it(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.fail_once, meta={"by": "ann"})
    work_off()
    client().flushall()
    reconciling.reconcile("tests")
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert the_row().state == "succeeded"
    again = Job.fetch(rq_job.id, connection=client(), serializer=rq_job.serializer)
    assert (again.return_value(), again.meta) == ("done", {"by": "ann"})


def test_retries_come_after_the_waits_that_rq_would_take(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.fail, retry=Retry(max=3, interval=[10, 60]))
    waits = []
    for _ in range(3):
        waits.append(work_off()[0].wait_seconds)
        assert rq_job.get_status() == JobStatus.SCHEDULED
        client().zadd("rq:scheduled:default", {rq_job.id: 1})
        tick([], ["default"])
    work_off()
    # RQ's own way of counting: a list that is too short repeats its first wait.
    assert waits == [10.0, 10.0, 60.0]
    assert (the_row().state, the_row().attempts, the_row().max_attempts) == ("dead", 4, 4)


def test_a_retry_without_a_wait_runs_at_once(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.fail_once, retry=Retry(max=2))
    work_off()
    assert (called, rq_job.return_value()) == (["fail_once", "fail_once"], "done")
    assert (the_row().state, the_row().attempts) == ("succeeded", 2)


def test_a_returned_retry_is_one(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.ask_again)
    work_off()
    assert (called, rq_job.return_value()) == (["ask_again"] * 3, "done")


@pytest.mark.parametrize("outcome", [Interrupted(), Abandoned(), Crashed(alone=False)])
def test_what_interrupts_a_job_burns_none_of_its_attempts(queue: Queue, outcome: Any) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    end(outcome)
    assert rq_job.get_status() == JobStatus.QUEUED
    assert the_row().state == "queued"
    assert the_row().attempts == 0


def test_only_the_third_crash_buries(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    for crash in range(3):
        assert the_row().state == "retrying" if crash else not JobRun.objects.exists()
        if crash:
            client().lpush("rq:queue:default", rq_job.id)
        end(Crashed(alone=True))
    assert DeadJob.objects.get().reason == "killed_worker"


def test_an_id_that_comes_again_is_another_run(queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(tasks.fail, job_id="nightly")
        work_off()
    rows = JobRun.objects.filter(rq_id="nightly")
    assert [(row.state, row.attempts) for row in rows] == [("dead", 1)] * 3


def test_an_id_that_comes_again_while_it_waits_is_the_same_run(queue: Queue) -> None:
    for _ in range(2):
        queue.enqueue(tasks.fail, job_id="nightly", retry=Retry(max=1, interval=60))
        work_off()
    # With the retries of its second coming.
    assert (the_row().state, the_row().attempts) == ("retrying", 2)


def test_one_that_redis_lost_while_it_waited_is_put_back(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.fail_once, retry=Retry(max=1, interval=60))
    work_off()
    client().delete(rq_job.key, "rq:scheduled:default")
    row = the_row()
    assert [place for _, place in lost.find([row], waiting=None)] == ["lost"]
    lost.restore([row.pk])
    client().zadd("rq:scheduled:default", {rq_job.id: 1})
    tick([], ["default"])
    work_off()
    assert (the_row().state, rq_job.return_value()) == ("succeeded", "done")


def test_a_job_that_rq_requeues_is_another_run(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.fail_once)
    work_off()
    rq_job.requeue()
    work_off()
    assert [row.state for row in JobRun.objects.order_by("ended_at")] == ["dead", "succeeded"]


def test_a_job_enqueued_for_later_waits_and_runs(queue: Queue) -> None:
    rq_job = queue.enqueue_in(timedelta(hours=1), tasks.add, 1, 2)
    tick([], ["default"])
    assert claim() == []
    client().zadd("rq:scheduled:default", {rq_job.id: 1})
    tick([], ["default"])
    work_off()
    assert rq_job.return_value() == 3


def test_many_are_enqueued_at_once(queue: Queue) -> None:
    queue.enqueue_many([Queue.prepare_data(tasks.add, (n, n)) for n in range(5)])
    work_off()
    assert sorted(row.result for row in JobRun.objects.all()) == [0, 2, 4, 6, 8]


def test_one_enqueued_at_the_front_comes_first(queue: Queue, called: list[Any]) -> None:
    queue.enqueue(tasks.add, 1, 1)
    queue.enqueue(tasks.add, 2, 2, at_front=True)
    work_off()
    assert [one[1] for one in called] == [2, 1]


def test_an_async_function_is_awaited(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add_slowly, 1, 2)
    work_off()
    assert rq_job.return_value() == 3


def test_a_static_method_is_called(queue: Queue) -> None:
    rq_job = queue.enqueue("tests.foreign.tasks.Report.count", 3)
    work_off()
    assert rq_job.return_value() == 3


def test_a_method_of_a_pickled_instance_is_called(pickling: Queue) -> None:
    rq_job = pickling.enqueue(tasks.Report("May").build, 3)
    work_off()
    assert rq_job.return_value() == "May: 3"
    assert the_row().name == "tests.foreign.tasks.Report.build"


def test_pickled_values_arrive_as_they_were(pickling: Queue) -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    moved = pickling.enqueue(tasks.add, at, timedelta(days=1))
    summed = pickling.enqueue(tasks.add, Decimal("1.5"), Decimal("2"))
    work_off()
    assert (moved.return_value(), summed.return_value()) == (at + timedelta(days=1), Decimal("3.5"))
    assert JobRun.objects.get(rq_id=moved.id).arguments["left"].startswith("datetime.datetime(2026, 5, 1")


def test_a_pickled_model_arrives(pickling: Queue, called: list[Any]) -> None:
    ann = get_user_model().objects.create(username="ann")
    pickling.enqueue(tasks.add, [ann], [uuid.UUID(int=1)])
    work_off()
    assert called == [("add", [ann], [uuid.UUID(int=1)])]
    assert the_row().state == "succeeded"


def test_get_current_job_gives_rqs_job(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.about_me, meta={"by": "ann"})
    work_off()
    assert rq_job.return_value() == {"id": rq_job.id, "meta": {"by": "ann", "seen": True}, "origin": "default"}
    assert rq_job.get_meta() == {"by": "ann", "seen": True}


def test_callbacks_are_called(queue: Queue, called: list[Any]) -> None:
    back = {"on_success": Callback(tasks.on_success), "on_failure": Callback(tasks.on_failure)}
    good = queue.enqueue(tasks.add, 1, 2, **back)
    queue.enqueue(tasks.fail, "x", **back)
    work_off()
    assert called == [("add", 1, 2), ("on_success", good.id, 3), ("fail", "x"), ("on_failure", "ValueError", "x")]


def test_a_success_callback_that_fails_fails_the_job(queue: Queue) -> None:
    queue.enqueue(tasks.add, 1, 2, on_success=Callback(tasks.on_success_badly))
    work_off()
    assert DeadJob.objects.get().error_message == "the callback failed"


def test_a_stopped_run_is_cancelled_and_told_to_its_callback(queue: Queue, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.fail, on_stopped=Callback(tasks.on_stopped), on_failure=Callback(tasks.on_failure))
    (taken,) = claim()
    stops.order(row_id(taken), StopOrder(0, "ann", "wrong customer"))
    orders.note(stops.orders([taken]))
    # As when the order comes while it runs.
    perform = functools.partial(foreign.outcome_of, taken, worker=WORKER.name, unknown_for=0.0)
    outcome = perform(perform=lambda run: Raised(ValueError("struck")))
    settle(WORKER, [lifecycle.conclude(taken, outcome, worker=WORKER.name, run_ms=5)])
    orders.forget([taken.token])
    recorder.record_all()
    assert called == [("on_stopped", rq_job.id)]
    assert the_row().state == "cancelled"
    assert rq_job.get_status() == JobStatus.STOPPED
    assert FailedJobRegistry(queue=queue).get_job_ids() == [rq_job.id]


def test_an_order_to_stop_concerns_no_later_run_of_the_same_id(queue: Queue) -> None:
    queue.enqueue(tasks.add, 1, 2, job_id="nightly")
    (first,) = claim()
    stops.order(row_id(first), StopOrder(0, "ann", ""))
    settle(WORKER, [lifecycle.attempt(first, worker=WORKER.name)])
    queue.enqueue(tasks.add, 1, 2, job_id="nightly")
    assert stops.orders(claim()) == {}


def test_cancelling_by_rq_is_recorded(queue: Queue) -> None:
    rq_job = JobsQueue("default", serializer=queue.serializer).enqueue(
        tasks.fail, retry=Retry(max=1, interval=60), job_id="again"
    )
    work_off()
    assert the_row().state == "retrying"
    rq_job.cancel()
    assert the_row().state == "cancelled"
    assert (rq_job.get_status(), places(rq_job.id)) == (JobStatus.CANCELED, [])


def test_a_queue_that_is_not_async_runs_at_once(called: list[Any]) -> None:
    rq_job = JobsQueue("default", is_async=False).enqueue(tasks.add, timedelta(1), timedelta(2))
    assert rq_job.return_value() == timedelta(3)


def test_the_time_that_a_job_may_wait_is_not_the_time_that_it_may_run(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2, ttl=60)
    assert client().ttl(rq_job.key) > 0
    claim()
    assert client().ttl(rq_job.key) == -1


def test_a_job_that_waited_longer_than_it_may_is_gone(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2, ttl=60)
    client().delete(rq_job.key)
    assert work_off() == []
    assert not JobRun.objects.exists()


def test_how_long_it_waited_is_told(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    client().hset(rq_job.key, "enqueued_at", utcformat(datetime.now(UTC) - timedelta(seconds=90)))
    work_off()
    assert 89_000 < (the_row().wait_ms or 0) < 200_000


def test_a_repeated_job_runs_as_often_each_a_run(queue: Queue, called: list[Any]) -> None:
    queue.enqueue(tasks.add, 1, 2, repeat=Repeat(times=2))
    work_off()
    assert len(called) == 3
    assert [row.state for row in JobRun.objects.all()] == ["succeeded"] * 3


def test_secrets_are_masked(queue: Queue) -> None:
    queue.enqueue(tasks.login, "ann", "hunter2-long")
    work_off()
    row = the_row()
    assert row.arguments["password"] != "hunter2-long"
    assert "hunter2-long" not in DeadJob.objects.get().error_message + JobAttempt.objects.get().traceback


def test_wrong_arguments_are_told(queue: Queue) -> None:
    queue.enqueue(tasks.add, 1)
    work_off()
    assert DeadJob.objects.get().reason == "bad_arguments"


def test_our_queue_writes_what_stock_django_rq_wrote(allowed: None) -> None:
    rq_job = JobsQueue("default").enqueue(tasks.add, timedelta(1), timedelta(2))
    work_off()
    assert rq_job.return_value() == timedelta(3)


def test_a_job_of_plain_rq_may_put_itself_off(queue: Queue) -> None:
    rq_job = queue.enqueue(tasks.wait_for_the_warehouse, retry=Retry(max=1))
    work_off()
    assert (the_row().state, the_row().attempts, the_row().error_message) == ("scheduled", 0, "the warehouse is closed")
    assert rq_job.get_status() == JobStatus.SCHEDULED
    for _ in range(3):
        client().zadd("rq:scheduled:default", {rq_job.id: 0})
        tick([], ["default"])
        work_off()
    assert (the_row().state, JobAttempt.objects.count()) == ("scheduled", 1)
