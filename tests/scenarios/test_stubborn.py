"""Jobs that will not end, and what they may cost: their process, never the queue."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jobs.models import DeadJob
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, wait_until


@pytest.mark.slow
def test_a_job_that_ends_its_process_with_success_is_a_crash_all_the_same(workers: Workers) -> None:
    pill = sample.leave_at_once.enqueue()
    worker = workers.start("--processes", "2")
    wait_until(lambda: pill.state == "dead", seconds=40, what="the pill to be buried")
    assert DeadJob.objects.get().reason == "killed_worker"
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="the next job")
    assert worker.poll() is None


@pytest.mark.slow
def test_a_job_that_ignores_its_limit_costs_its_process_and_ends_as_timed_out(workers: Workers) -> None:
    stuck = sample.sit_in_c.enqueue()
    neighbour = sample.nap.enqueue(1.0, 1)
    worker = workers.start("--concurrency", "2")
    wait_until(lambda: stuck.state == "dead", seconds=30, what="the stuck job to be given up")
    assert stuck.row().error_class == "jobs.errors.JobTimedOut"
    assert (neighbour.state, neighbour.row().attempts) == ("succeeded", 1)
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="the next job, in a new process")
    assert worker.poll() is None
    assert workers.ledger().count("sit") == 1


@pytest.mark.slow
def test_a_job_that_holds_the_interpreter_is_killed_and_the_rest_goes_on(workers: Workers) -> None:
    hog = sample.hog.enqueue()
    workers.start("--concurrency", "2", SAMPLE_LEASE="2")
    wait_until(lambda: workers.ledger() == ["hog"], what="the hog to start")
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", seconds=40, what="the job behind it")
    wait_until(lambda: hog.state == "dead", seconds=60, what="the hog to be buried")
    assert DeadJob.objects.get().reason == "killed_worker"


@pytest.mark.slow
def test_a_child_that_stands_still_is_replaced(workers: Workers) -> None:
    run = sample.nap.enqueue(2.0, 1)
    worker = workers.start(SAMPLE_LEASE="2")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    for pid in children_of(worker.pid):
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: "has stood still" in workers.log(), seconds=30, what="the supervisor to notice")
    for pid in children_of(worker.pid):
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: run.state == "succeeded", seconds=30, what="the run in another process")


@pytest.mark.slow
def test_a_limit_that_strikes_while_jobs_log_leaves_no_handler_locked(workers: Workers) -> None:
    loggers = sample.log_for_ever.enqueue_many([() for _ in range(4)])
    worker = workers.start("--concurrency", "4")
    wait_until(lambda: all(run.state == "dead" for run in loggers), seconds=30, what="the loggers to be struck")
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="a job that logs its line, too")
    before = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert time.monotonic() - before < 5


def test_a_signal_to_the_whole_group_counts_once(workers: Workers) -> None:
    runs = sample.nap.enqueue_many([(1.5, n) for n in range(2)])
    worker = workers.start("--processes", "2")
    wait_until(lambda: len(workers.ledger()) == 2, what="the jobs to start")
    for pid in [*children_of(worker.pid), worker.pid]:
        os.kill(pid, signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert [run.state for run in runs] == ["succeeded", "succeeded"]
