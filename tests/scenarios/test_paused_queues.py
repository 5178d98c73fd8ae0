"""Real workers with a paused queue: they neither take from it nor spin, and start it at once when it is resumed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobs import queues
from jobs import workers as fleet_of
from jobs.broker import fleet
from jobs.broker.connection import client
from jobs.models import JobAttempt, WorkerProcess
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, states, wait_until

WHO = {"actor": "ann", "reason": "ticket 4711"}


def cpu_seconds(pid: int) -> float:
    """What a process and its children have computed."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100 + sum(cpu_seconds(child) for child in children_of(pid))


@pytest.mark.slow
def test_a_paused_queue_waits_others_go_on_and_it_starts_within_a_second(workers: Workers) -> None:
    queues.pause("default", **WHO)
    held = [sample.add.enqueue(number, 1) for number in range(50)]
    worker = workers.start()
    first = sample.urgent.enqueue(1)
    wait_until(lambda: first.state == "succeeded", what="the other queue")
    time.sleep(1.0)
    before, asked = cpu_seconds(worker.pid), client().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    time.sleep(3.0)
    # A worker that spins would compute most of the time, and ask some thousand times.
    assert cpu_seconds(worker.pid) - before < 1.5
    assert client().info("commandstats")["cmdstat_evalsha"]["calls"] - asked < 120
    assert {run.state for run in held} == {"queued"}
    later = sample.urgent.enqueue(2)
    started = time.monotonic()
    wait_until(lambda: later.state == "succeeded", what="a wake-up by the other queue")
    assert time.monotonic() - started < 1.5
    resumed = time.monotonic()
    queues.resume("default", actor="ann")
    wait_until(lambda: client().llen("rq:queue:default") == 0, what="the resumed queue to start")
    assert time.monotonic() - resumed < 1.5
    wait_until(lambda: states() == {"succeeded": 52}, what="all to end")


@pytest.mark.slow
def test_what_runs_goes_on_and_its_retry_waits(workers: Workers) -> None:
    running, failing = sample.nap.enqueue(2.0, 1), sample.fail_until.enqueue(2)
    workers.start()
    wait_until(lambda: "start 1" in workers.ledger(), what="the job to start")
    queues.pause("default", **WHO)
    wait_until(lambda: running.state == "succeeded", what="what ran")
    wait_until(lambda: failing.state in ("queued", "retrying", "succeeded"), what="the retry")
    queues.resume("default", actor="ann")
    wait_until(lambda: failing.state == "succeeded", what="the retry")


@pytest.mark.slow
def test_a_burst_worker_does_not_wait_for_a_paused_queue(workers: Workers) -> None:
    held, other = sample.add.enqueue(1, 2), sample.urgent.enqueue(1)
    queues.pause("default", **WHO)
    workers.burst()
    assert (held.state, other.state) == ("queued", "succeeded")


@pytest.mark.slow
def test_an_order_to_be_quiet_and_one_to_stop_are_obeyed_and_nothing_is_burnt(workers: Workers) -> None:
    run = sample.nap.enqueue(30, 1)
    worker = workers.start("--name", "calm", "--concurrency", "3", "--shutdown-timeout", "0.5")
    wait_until(lambda: workers.ledger() == ["start 1"], what="the job to start")
    (supervisor,) = _supervisors()
    wait_until(lambda: WorkerProcess.objects.filter(threads=3).exists(), what="the beat to be stored", seconds=25)
    _quiet(supervisor.id)
    wait_until(lambda: _supervisors()[0].state == "quiet", what="it to be quiet", seconds=5)
    after = sample.add.enqueue(1, 2)
    _stop(supervisor.id)
    assert worker.wait(timeout=15) == 0
    assert after.state == "queued"
    assert (run.row().state, run.row().attempts) == ("queued", 0)
    assert JobAttempt.objects.get(run=run.id).outcome == "interrupted"
    assert _supervisors() == []


def _supervisors() -> list[fleet.SupervisorNow]:
    return fleet.look().supervisors


def _quiet(supervisor: str) -> None:
    fleet_of.quiet(supervisor=supervisor, **WHO)


def _stop(supervisor: str) -> None:
    fleet_of.stop(supervisor=supervisor, **WHO)
