"""RQ's own tools read our queues and workers rightly, and do no harm."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from jobs.broker.connection import client
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until


def rq_info() -> str:
    program = Path(sys.executable).parent / "rq"
    command = [str(program), "info", "--raw", "--url", settings.REDIS_URL]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_rq_info_shows_queues_and_workers_and_leaves_running_jobs_alone(workers: Workers) -> None:
    run = sample.nap.enqueue(2.0, 1)
    worker = workers.start("--name", "shown", "--concurrency", "1", queues=("critical", "default"))
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    sample.add.enqueue_many([(n, n) for n in range(3)])
    wait_until(lambda: b"busy" in (client().hget("rq:worker:shown", "state") or b""), what="the worker to be busy")
    shown = rq_info()
    assert "queue default 3, 1 executing" in shown
    assert "worker shown" in shown
    assert "busy critical,default" in shown.replace(", ", ",")
    wait_until(lambda: run.state == "succeeded", what="the run that rq info looked at")
    assert run.row().attempts == 1
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    assert "0 workers" in rq_info() or "shown" not in rq_info()


def test_rq_reads_our_hashes_and_registries(workers: Workers) -> None:
    waiting = sample.add.using(queue="low").enqueue(1, 2)
    later = sample.add.using(queue="low").enqueue_in(60, 1, 2)
    failed = sample.end_as.enqueue("refused")
    workers.burst(queues=("default",))
    job = Job.fetch(str(waiting.id), connection=client(), serializer=JSONSerializer)
    assert (job.func_name, job.args, job.origin, job.get_status().value) == (
        "tests.sample.add",
        [1, 2],
        "low",
        "queued",
    )
    low = Queue("low", connection=client(), serializer=JSONSerializer)
    assert low.count == 1
    assert ScheduledJobRegistry(queue=low).get_job_ids() == [str(later.id)]
    default = Queue("default", connection=client(), serializer=JSONSerializer)
    assert FailedJobRegistry(queue=default).get_job_ids(cleanup=False) == [str(failed.id)]


@pytest.mark.slow
def test_the_started_registry_survives_rqs_own_clean_up(workers: Workers) -> None:
    run = sample.nap.enqueue(1.5, 1)
    workers.start("--concurrency", "1")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    registry = StartedJobRegistry("default", connection=client(), serializer=JSONSerializer)
    registry.cleanup()
    assert [key.split(":")[0] for key in registry.get_job_ids()] == [str(run.id)]
    wait_until(lambda: run.state == "succeeded", what="the run")


def test_a_worker_that_ended_leaves_rqs_list(workers: Workers) -> None:
    workers.burst("--name", "brief")
    assert Worker.all(connection=client()) == []


def test_the_get_worker_of_django_rq_drains_its_queues(workers: Workers) -> None:
    run = sample.add.enqueue(20, 22)
    script = (
        "import django; django.setup(); import django_rq;"
        "django_rq.get_worker('critical', 'default').work(burst=True, max_jobs=1)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=workers.environment(), timeout=60)
    assert run.result == 42


def test_a_job_of_plain_rq_is_not_called_and_not_lost(workers: Workers) -> None:
    foreign = Queue("default", connection=client()).enqueue("os.getcwd")
    ours = sample.add.enqueue(1, 1)
    workers.burst()
    assert ours.state == "succeeded"
    assert b"failed" in client().hget(f"rq:job:{foreign.id}", "status")
