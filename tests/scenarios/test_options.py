"""What the options of `rqworker` do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs import retention
from jobs.broker.connection import client
from jobs.models import JobRun
from jobs.worker import nightly
from tests.sample import jobs as sample
from tests.scenarios.workers import ROOT, Workers, children_of, states, wait_until


def test_max_jobs_ends_the_worker_after_just_so_many(workers: Workers) -> None:
    sample.add.enqueue_many([(n, n) for n in range(10)])
    assert workers.start("--max-jobs", "4").wait(timeout=30) == 0
    assert states() == {"succeeded": 4, "queued": 6}


@pytest.mark.slow
def test_a_process_that_has_grown_too_large_is_replaced_between_jobs(workers: Workers) -> None:
    hoards = sample.hoard.enqueue_many([(400, 1.0)])
    neighbours = sample.nap.enqueue_many([(3.0, n) for n in range(2)])
    workers.start("--name", "large", "--max-memory", "300", "--concurrency", "3")
    wait_until(lambda: "large is replaced after 3 jobs: it takes" in workers.log(), what="the process to retire")
    wait_until(lambda: states() == {"succeeded": 3}, what="what runs beside it to end")
    added = sample.add.enqueue(1, 1)
    wait_until(lambda: added.state == "succeeded", what="the next process")
    assert len(set(workers.ledger()) & {"start 0", "start 1", "end 0", "end 1"}) == 4
    assert {run.row().attempts for run in [*hoards, *neighbours]} == {1}
    assert "starts in" not in workers.log(), "it ended as it should: the next one need not wait"


def test_each_process_is_replaced_after_so_many_jobs_and_the_worker_goes_on(workers: Workers) -> None:
    sample.whereabouts.enqueue_many([() for _ in range(10)])
    worker = workers.start("--max-jobs-per-child", "3")
    wait_until(lambda: states() == {"succeeded": 10}, what="all runs to succeed")
    per_process = Counter(workers.ledger())
    assert sorted(per_process.values(), reverse=True) == [3, 3, 3, 1]
    assert worker.poll() is None
    assert "starts in" not in workers.log()


def test_short_runs_that_were_taken_ahead_do_not_count_for_a_process_that_did_not_run_them(workers: Workers) -> None:
    sample.whereabouts.enqueue_many([() for _ in range(600)])
    workers.burst("--max-jobs-per-child", "150", "--concurrency", "2")
    assert sorted(Counter(workers.ledger()).values()) == [150] * 4


@pytest.mark.slow
def test_the_lowest_of_weighted_queues_gets_work_while_the_others_are_flooded(workers: Workers) -> None:
    for queue in ("critical", "default", "low"):
        # Long enough that a claim takes only a few: each of them throws the dice once.
        sample.pass_through.using(queue=queue).enqueue_many([(queue, 0.003) for _ in range(1500)])
    workers.start("--concurrency", "2", "--max-jobs", "1500", queues=("critical=6", "default=3", "low=1")).wait(60)
    share = Counter(workers.ledger())
    assert sum(share.values()) == 1500
    assert share["critical"] > share["default"] > share["low"] > 0, share


def test_max_idle_time_ends_an_idle_worker(workers: Workers) -> None:
    run = sample.add.enqueue(1, 1)
    started = time.monotonic()
    assert workers.start("--max-idle-time", "1").wait(timeout=30) == 0
    assert time.monotonic() - started > 1
    assert run.state == "succeeded"


def test_an_unknown_queue_is_refused_with_the_nearest_name(workers: Workers) -> None:
    assert workers.start(queues=("critcal",)).wait(timeout=30) == 1
    assert 'There is no queue "critcal". Did you mean "critical"?' in workers.log()


def test_the_pid_file_names_the_process_to_signal(workers: Workers, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    worker = workers.start("--pid", str(pid_file))
    wait_until(pid_file.exists, what="the pid file")
    wait_until(lambda: "works on critical, default" in workers.log(), what="the line that says so")
    assert int(pid_file.read_text()) == worker.pid


def test_several_processes_share_the_work_and_are_seen_apart(workers: Workers) -> None:
    sample.nap.enqueue_many([(0.2, n) for n in range(8)])
    worker = workers.start("--name", "pair", "--processes", "2", "--concurrency", "2")
    wait_until(lambda: states() == {"succeeded": 8}, what="the naps")
    assert set(JobRun.objects.values_list("worker", flat=True)) == {"pair.1", "pair.2"}
    assert {b"rq:worker:pair.1", b"rq:worker:pair.2"} <= client().smembers("rq:workers")
    assert len(children_of(worker.pid)) == 3


@pytest.mark.slow
def test_a_child_that_jobs_kill_again_and_again_is_replaced_within_a_second_each_time(workers: Workers) -> None:
    sample.kill_worker.enqueue_many([() for _ in range(4)])
    workers.start("--concurrency", "1", "--name", "dying")

    def waits() -> list[str]:
        ends = [line for line in workers.log().splitlines() if "dying ended with status 9" in line]
        return [line.rpartition(" in ")[2] for line in ends]

    wait_until(lambda: len(waits()) >= 3, what="three restarts")
    assert waits()[:3] == ["0.5 s", "1.0 s", "1.0 s"]


@pytest.mark.slow
def test_reload_starts_the_worker_anew_when_code_changes(workers: Workers, tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    module.write_text("")
    environment = {**workers.environment(), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    script = (
        "import sys, changing, django; django.setup();"
        "from jobs.worker.reloading import run_with_reloading;"
        f"sys.exit(run_with_reloading(['-c', \"open({str(tmp_path / 'starts')!r}, 'a').write('x'); "
        'import time; time.sleep(60)"]))'
    )
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=ROOT)
    try:
        starts = tmp_path / "starts"
        wait_until(lambda: starts.exists() and starts.read_text() == "x", what="the first start")
        time.sleep(1.2)
        os.utime(module, (time.time() + 5, time.time() + 5))
        wait_until(lambda: starts.read_text() == "xx", what="the second start")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0


def test_the_nightly_clean_up_is_asked_for_once_a_day_and_removes_old_runs(workers: Workers, jobs_settings) -> None:
    old = sample.add.enqueue(1, 1)
    workers.burst()
    now = datetime.now(UTC)
    JobRun.objects.filter(pk=old.id).update(ended_at=now)
    nightly.ask(now.replace(hour=3, minute=1))
    assert not JobRun.objects.filter(name="jobs.prune_runs").exists()
    JobRun.objects.filter(pk=old.id).update(ended_at=datetime(2020, 1, 1, tzinfo=UTC))
    nightly.ask(now.replace(hour=2, minute=59))
    assert not JobRun.objects.filter(name="jobs.prune_runs").exists()
    nightly.ask(now.replace(hour=3, minute=1))
    nightly.ask(now.replace(hour=3, minute=6))
    assert JobRun.objects.filter(name="jobs.prune_runs").count() == 1
    workers.burst()
    assert not JobRun.objects.filter(pk=old.id).exists()
    assert JobRun.objects.get(name="jobs.prune_runs").result["succeeded"] == 1
    assert retention.prunable()["succeeded"] == 0
