"""RQ's own classes read our keys right, and what plain RQ enqueued harms nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.schedule import forget_workers, tick
from jobs.broker.settle import Settlement, settle
from jobs.errors import UnknownJob
from jobs.rq_classes import JobsJob, JobsQueue
from jobs.worker import lifecycle
from tests.broker.messages import in_an_hour, pushed
from tests.engine import WORKER, claim, hash_of, places
from tests.sample import jobs as sample


def fetch(run_id):
    return JobsJob.fetch(run_id, connection=client(), serializer=JSONSerializer)


def test_rq_reads_a_waiting_run():
    (run_id,) = pushed()
    rq_job = fetch(run_id)
    assert (rq_job.func_name, rq_job.args, rq_job.kwargs) == ("tests.sample.add", [1, 2], {})
    assert (rq_job.get_status(), rq_job.origin, rq_job.timeout) == (JobStatus.QUEUED, "default", 300)
    assert rq_job.description == "tests.sample.add(left=1, right=2)"
    assert rq_job.created_at.tzinfo is not None
    assert rq_job.enqueued_at >= rq_job.created_at


def test_rqs_own_job_class_reads_it_too():
    (run_id,) = pushed()
    assert Job.fetch(run_id, connection=client(), serializer=JSONSerializer).func_name == "tests.sample.add"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("end", JobStatus.FINISHED),
        ("failed", JobStatus.FAILED),
        ("later", JobStatus.SCHEDULED),
        ("front", JobStatus.QUEUED),
    ],
)
def test_rq_reads_the_status_of_a_settled_run(where, status):
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], where, wait_seconds=60, fields={"exc_info": "Traceback"})])
    rq_job = fetch(run_id)
    assert rq_job.get_status() == status
    assert rq_job.started_at is not None
    assert rq_job.worker_name == WORKER.name


def test_rq_counts_what_is_in_each_place():
    pushed(3)
    (later,) = pushed(due_at=in_an_hour())
    taken = claim(2)
    settle(WORKER, [Settlement(taken[0], "failed")])
    queue = JobsQueue("default")
    assert queue.count == 1
    assert queue.get_job_ids() == [one.decode() for one in client().lrange(keys.queue("default"), 0, -1)]
    assert StartedJobRegistry(queue=queue).get_job_ids() == [taken[1].run_id]
    assert FailedJobRegistry(queue=queue).get_job_ids() == [taken[0].run_id]
    assert ScheduledJobRegistry(queue=queue).get_job_ids() == [later]
    assert FinishedJobRegistry(queue=queue).get_job_ids() == []


def test_rq_knows_a_queue_from_its_first_run_on():
    assert JobsQueue.all(connection=client()) == []
    pushed(queue="low")
    assert [queue.name for queue in JobsQueue.all(connection=client())] == ["low"]


def test_all_of_rqs_cleanups_leave_our_runs_alone():
    waits, started, dead = pushed(3)
    claim()
    claimed = claim(2)
    settle(WORKER, [Settlement(claimed[1], "failed")])
    queue = JobsQueue("default")
    for registry in (StartedJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry):
        registry(queue=queue).cleanup()
    assert [places(one) for one in (waits, started, dead)] == [
        ["started:default"],
        ["started:default"],
        ["failed:default"],
    ]


def test_what_a_message_names_is_looked_up_among_the_jobs_and_never_imported():
    assert JobsJob.create("tests.sample.add", connection=client()).func is sample.add.function
    with pytest.raises(UnknownJob):
        _ = JobsJob.create("os.system", connection=client()).func


@pytest.mark.parametrize("serializer", [JSONSerializer, DefaultSerializer])
def test_a_job_of_plain_rq_is_neither_executed_nor_lost(serializer, tmp_path):
    proof = tmp_path / "proof"
    rq_job = Queue("default", connection=client(), serializer=serializer).enqueue("os.mkdir", str(proof))
    (taken,) = claim()
    assert taken.run_id == rq_job.id
    ended = lifecycle.attempt(taken, worker=WORKER.name)
    assert settle(WORKER, [ended]) == [True]
    assert not proof.exists()
    assert ended.entry["row"]["id"] != rq_job.id
    assert places(rq_job.id) == ["failed:default"]


def test_a_pickle_is_never_read(tmp_path):
    proof = tmp_path / "proof"

    class Bomb:
        def __reduce__(self):
            return __import__("os").mkdir, (str(proof),)

    Queue("default", connection=client(), serializer=DefaultSerializer).enqueue(len, Bomb())
    ended = lifecycle.attempt(claim()[0], worker=WORKER.name)
    settle(WORKER, [ended])
    assert ended.where == "failed"
    assert "FOREIGN_JOBS" in ended.entry["error_message"]
    assert not proof.exists()


def test_a_job_that_plain_rq_scheduled_is_promoted_and_not_executed(tmp_path):
    queue = Queue("default", connection=client(), serializer=JSONSerializer)
    rq_job = queue.enqueue_in(timedelta(hours=1), "os.mkdir", str(tmp_path / "proof"))
    client().zadd(keys.scheduled("default"), {rq_job.id: 1})
    tick([], ["default"])
    assert lifecycle.attempt(claim()[0], worker=WORKER.name).entry is not None
    assert not (tmp_path / "proof").exists()


def test_rq_takes_the_marker_of_an_ended_run_for_a_job_that_is_gone():
    (run_id,) = pushed()
    settle(WORKER, [Settlement(claim()[0], "gone")])
    assert hash_of(run_id) == {"life": "0", "status": "finished"}
    with pytest.raises(NoSuchJobError):
        fetch(run_id)


def test_workers_that_died_without_a_word_leave_rqs_lists():
    for name in ("living", "dead"):
        client().sadd("rq:workers", f"rq:worker:{name}")
        client().sadd("rq:workers:default", f"rq:worker:{name}")
    client().hset("rq:worker:living", "state", "idle")
    assert forget_workers(["default", "low"]) == 1
    assert client().smembers("rq:workers") == client().smembers("rq:workers:default") == {b"rq:worker:living"}


def test_a_list_of_workers_of_another_type_is_left_alone():
    client().set("rq:workers", "x")
    client().sadd("rq:workers:default", "rq:worker:dead")
    assert forget_workers(["default"]) == 0
    assert not client().exists("rq:workers:default")
