"""Somebody stops one run that is running: that one ends, as cancelled, and nothing else does."""

from __future__ import annotations

import signal

import pytest

from jobs import runs
from jobs.broker.connection import client
from jobs.errors import NotStoppable
from jobs.handles import Run
from jobs.models import AuditEntry, JobAttempt
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until


def start_and_stop(victim: Run, workers: Workers) -> None:
    workers.start("--concurrency", "2")
    wait_until(lambda: victim.state == "running", what="the job to start")
    runs.stop(victim.row(), actor="ann")
    wait_until(lambda: victim.state == "cancelled", what="the run to end")


@pytest.mark.slow
def test_a_stop_from_outside_ends_only_that_run_and_says_who_and_why(workers: Workers) -> None:
    victim = sample.hang_on.enqueue(1)
    neighbour = sample.nap.enqueue(4.0, 2)
    workers.start("--concurrency", "2", "--name", "host")
    wait_until(lambda: {victim.state, neighbour.state} == {"running"}, what="both to be shown as running")
    pid = client().hget("rq:worker:host", "pid")
    runs.stop(victim.row(), actor="ann", reason="wrong file")
    wait_until(lambda: victim.state == "cancelled", what="the run to end")
    attempt = JobAttempt.objects.get(run=victim.id)
    assert (attempt.outcome, attempt.verdict, attempt.reason) == ("stopped", "cancel", "stopped by ann: wrong file")
    wait_until(lambda: neighbour.state == "succeeded", what="the neighbour")
    assert "swallowed" not in workers.ledger()
    assert neighbour.row().attempts == 1
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="the next job")
    assert client().hget("rq:worker:host", "pid") == pid, "its process goes on"
    assert AuditEntry.objects.get().action == "stop"
    with pytest.raises(NotStoppable, match="cancelled"):
        runs.stop(victim.row(), actor="ann")


@pytest.mark.slow
def test_an_async_job_that_is_stopped_cleans_up(workers: Workers) -> None:
    start_and_stop(sample.wait_on.enqueue(1), workers)
    assert workers.ledger() == ["wait 1", "cleaned up 1"]


@pytest.mark.slow
def test_a_job_that_looks_whether_it_should_stop_ends_by_itself_and_is_not_handed_back(workers: Workers) -> None:
    start_and_stop(sample.stroll.enqueue(1), workers)
    assert workers.ledger() == ["stroll 1", "stopping 1"]


@pytest.mark.slow
def test_a_job_in_c_that_is_stopped_costs_its_process_and_not_its_neighbours(workers: Workers) -> None:
    victim = sample.sit_on_in_c.enqueue()
    neighbour = sample.nap.enqueue(9.0, 2)
    worker = workers.start("--concurrency", "2")
    wait_until(lambda: {victim.state, neighbour.state} == {"running"}, what="both to be shown as running")
    runs.stop(victim.row(), actor="ann")
    wait_until(lambda: victim.state == "cancelled", seconds=40, what="the run to be given up")
    assert (neighbour.state, neighbour.row().attempts) == ("succeeded", 1)
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="the next job, in a new process")
    assert worker.poll() is None


@pytest.mark.slow
def test_a_run_that_is_to_be_stopped_as_its_process_dies_is_not_run_again(workers: Workers) -> None:
    victim = sample.hang_on.enqueue(1)
    worker = workers.start("--shutdown-timeout", "0")
    wait_until(lambda: victim.state == "running", what="the job to start")
    runs.stop(victim.row(), actor="ann")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    workers.burst()
    assert victim.state == "cancelled"
