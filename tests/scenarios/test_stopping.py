"""Stops, kills and restarts of real workers."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jobs.broker.connection import client
from jobs.models import DeadJob, JobAttempt, JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, states, wait_until


def test_a_stop_lets_running_jobs_end(workers: Workers) -> None:
    sample.nap.enqueue_many([(1.0, n) for n in range(3)])
    worker = workers.start()
    wait_until(lambda: len(workers.ledger()) == 3, what="the jobs to start")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0
    assert states() == {"succeeded": 3}


def test_a_stop_hands_back_what_does_not_end_in_time_without_burning_an_attempt(workers: Workers) -> None:
    run = sample.nap.enqueue(30, 1)
    worker = workers.start("--shutdown-timeout", "0.5")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    before = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0
    assert time.monotonic() - before < 4
    row = run.row()
    assert (row.state, row.attempts) == ("queued", 0)
    assert JobAttempt.objects.get(run=row).outcome == "interrupted"
    assert client().lrange("rq:queue:default", 0, -1) == [str(run.id).encode()]


def test_a_long_job_hears_of_a_stop_and_hands_itself_back_without_burning_an_attempt(workers: Workers) -> None:
    run = sample.stroll.enqueue(1)
    worker = workers.start("--shutdown-timeout", "60")
    wait_until(lambda: workers.ledger() == ["stroll 1"], what="the job to start")
    before = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert time.monotonic() - before < 30
    assert workers.ledger() == ["stroll 1", "stopping 1"]
    assert (run.state, run.row().attempts) == ("queued", 0)
    assert JobAttempt.objects.get(run=run.id).verdict == "hand back"
    assert client().lrange("rq:queue:default", 0, -1) == [str(run.id).encode()]


@pytest.mark.slow
def test_a_quiet_worker_goes_on_with_what_runs_and_claims_no_more(workers: Workers) -> None:
    running = sample.nap.enqueue(3.0, 1)
    worker = workers.start("--name", "calm", "--processes", "2", "--concurrency", "2")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    worker.send_signal(signal.SIGTSTP)
    wait_until(lambda: _rq_states("calm.1", "calm.2") == {"suspended"}, what="both children to be quiet")
    assert "calm is quiet" in workers.log()
    waiting = sample.add.enqueue(1, 1)
    assert _rq_states("calm.1", "calm.2") == {"suspended"}
    wait_until(lambda: running.state == "succeeded", what="what runs to end")
    assert (waiting.state, workers.ledger()) == ("queued", ["start 1", "end 1"])
    # A child that dies is not replaced, for the next would claim.
    pids = {name: int(client().hget(f"rq:worker:{name}", "pid")) for name in ("calm.1", "calm.2")}
    os.kill(pids["calm.1"], signal.SIGKILL)
    wait_until(lambda: pids["calm.1"] not in children_of(worker.pid), what="the child to be seen dead")
    other = workers.start("--name", "other", "--max-jobs", "1")
    assert other.wait(timeout=30) == 0
    assert waiting.row().worker == "other"
    assert len(children_of(worker.pid)) == 2, "one child, and the recording process"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0


def test_a_quiet_worker_that_is_stopped_hands_back_what_does_not_end(workers: Workers) -> None:
    run = sample.nap.enqueue(60, 1)
    worker = workers.start("--shutdown-timeout", "0.5")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    worker.send_signal(signal.SIGTSTP)
    wait_until(lambda: "is quiet" in workers.log(), what="the worker to be quiet")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=15) == 0
    assert (run.state, run.row().attempts) == ("queued", 0)


def test_a_second_signal_hands_back_at_once(workers: Workers) -> None:
    run = sample.nap.enqueue(30, 1)
    worker = workers.start()
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    worker.send_signal(signal.SIGTERM)
    # Sooner, it counts as the same wish: a terminal and a supervisor may both pass it on.
    time.sleep(1.3)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    assert run.state == "queued"


def test_a_killed_child_loses_no_job(workers: Workers) -> None:
    sample.nap.enqueue_many([(0.2, n) for n in range(40)])
    workers.start("--concurrency", "4", "--name", "victim")
    for _ in range(3):
        wait_until(_working_child, what="a child that works")
        killed = _working_child()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda pid=killed: _working_child() not in (0, pid), what="a new child")
    wait_until(lambda: states() == {"succeeded": 40}, seconds=40, what="all runs to succeed")
    assert {line for line in workers.ledger() if line.startswith("end")} == {f"end {n}" for n in range(40)}


def test_a_killed_supervisor_takes_its_children_along_and_another_takes_over(workers: Workers) -> None:
    sample.nap.enqueue_many([(0.3, n) for n in range(6)])
    first = workers.start("--concurrency", "2", "--shutdown-timeout", "0.1")
    wait_until(lambda: workers.ledger(), what="the jobs to start")
    children = children_of(first.pid)
    first.kill()
    first.wait()
    wait_until(lambda: not any(_lives(pid) for pid in children), what="the children to end")
    workers.start()
    wait_until(lambda: states() == {"succeeded": 6}, seconds=40, what="all runs to succeed")


@pytest.mark.slow
def test_a_worker_that_stands_still_is_robbed_and_then_refused(workers: Workers, settings) -> None:
    run = sample.nap.enqueue(3, 1)
    first = workers.start("--name", "frozen", SAMPLE_LEASE="1")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    frozen = [first.pid, *children_of(first.pid)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        workers.start("--name", "thief", SAMPLE_LEASE="1")
        # The frozen worker's recording process leads for 10 s more.
        wait_until(lambda: run.state == "succeeded", seconds=60, what="another worker to run it")
        assert run.row().worker == "thief"
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    # Its own supervisor may find the child silent for too long before that settles.
    wait_until(
        lambda: client().hget("jobs:counters", "stale_settles") or "has stood still" in workers.log(),
        what="the stale settle to be refused",
    )
    assert (run.row().worker, run.row().attempts) == ("thief", 1)


@pytest.mark.slow
def test_a_job_that_kills_its_worker_is_dead_after_three_times_and_the_rest_goes_on(workers: Workers) -> None:
    pill = sample.kill_worker.enqueue()
    workers.start("--concurrency", "1")
    wait_until(lambda: pill.state == "dead", seconds=30, what="the pill to be buried")
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", seconds=30, what="the next job")
    assert workers.ledger().count("kill") == 3
    assert DeadJob.objects.get().reason == "killed_worker"
    assert JobRun.objects.get(pk=pill.id).crashes == 3


@pytest.mark.slow
def test_the_neighbours_of_a_crash_are_innocent_and_end_without_a_mark(workers: Workers) -> None:
    bystanders = sample.bystander.enqueue_many([(1.0, n) for n in range(4)])
    pill = sample.kill_worker.using(at=1).enqueue()
    workers.start("--concurrency", "8")
    wait_until(lambda: pill.state == "dead", seconds=40, what="the pill to be buried")
    wait_until(lambda: all(run.state == "succeeded" for run in bystanders), seconds=30, what="the bystanders")
    for run in bystanders:
        assert (run.row().attempts, run.row().crashes) == (1, 0)
    history = JobAttempt.objects.filter(run=pill.id).values_list("verdict", flat=True)
    assert list(history) == ["isolate", "retry", "retry", "bury"]
    assert DeadJob.objects.get().run_id == pill.id


@pytest.mark.slow
def test_a_worker_outlives_a_restart_of_redis(workers: Workers, valkey) -> None:
    worker = workers.start()
    first = sample.add.enqueue(1, 1)
    wait_until(lambda: first.state == "succeeded", what="the first run")
    running = sample.nap.enqueue(1.5, 1)
    wait_until(lambda: "start 1" in workers.ledger(), what="the nap to start")
    valkey.kill()
    second = sample.add.enqueue(2, 2)
    time.sleep(2)
    valkey.start()
    wait_until(lambda: second.state == "succeeded", seconds=30, what="the relay to push what could not be pushed")
    # The server came back empty: what ran is compared with its row, and runs again.
    wait_until(lambda: running.state == "succeeded", seconds=30, what="the run that was under way")
    assert worker.poll() is None


def _rq_states(*names: str) -> set[str]:
    return {(client().hget(f"rq:worker:{name}", "state") or b"").decode() for name in names}


def _working_child() -> int:
    """The pid of the process that claims, as RQ's tools see it."""
    return int(client().hget("rq:worker:victim", "pid") or 0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
