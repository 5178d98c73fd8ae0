"""Unique runs that many processes ask for, and one whose worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import ROOT, Workers, wait_until

pytestmark = pytest.mark.slow

# Ten threads of a process, which begin together with those of the others.
ASK = r"""
import sys, threading, django
django.setup()
from django.db import connection
from tests.sample.jobs import once, once_a_day
job = {"once": once, "once_a_day": once_a_day}[sys.argv[1]]
gate = threading.Barrier(10)

def ask():
    gate.wait()
    sys.stdout.write(f"{job.enqueue('a').id}\n")
    connection.close()

print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=ask) for _ in range(10)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize("job", ["once", "once_a_day"])
def test_fifty_askings_of_five_processes_make_one_run(workers: Workers, job: str) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK, job], cwd=ROOT, env=workers.environment(), **pipes)
        for _ in range(5)
    ]
    for process in asking:
        assert process.stdout.readline() == "ready\n"
    for process in asking:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [line for process in asking for line in process.communicate(timeout=60)[0].split()]
    run = JobRun.objects.get()
    assert found == [str(run.pk)] * 50
    assert client().lrange(keys.queue("default"), 0, -1) == [str(run.pk).encode()]


def test_a_killed_worker_s_run_is_given_until_it_is_dead_and_then_another_may_come(workers: Workers) -> None:
    first = sample.kill_worker_once_each.enqueue("a")
    assert sample.kill_worker_once_each.enqueue("a").id == first.id
    workers.start("--concurrency", "1")
    wait_until(lambda: first.state == "dead", seconds=60, what="the run to be dead")
    second = sample.kill_worker_once_each.enqueue("a")
    assert second.created
    wait_until(lambda: second.state == "dead", seconds=60, what="the next run to begin, and die too")


def test_a_run_whose_worker_is_killed_from_outside_is_run_again_and_stays_the_one(workers: Workers) -> None:
    run = sample.once_slowly.enqueue("a", 3.0)
    workers.start("--concurrency", "1")
    wait_until(lambda: workers.ledger(), seconds=30, what="the run to begin")
    os.kill(int(workers.ledger()[0].split()[-1]), signal.SIGKILL)
    assert sample.once_slowly.enqueue("a", 3.0).id == run.id
    wait_until(lambda: run.state == "succeeded", seconds=60, what="the run to be done by another process")
    assert len(workers.ledger()) == 2
    assert sample.once_slowly.enqueue("a", 0.0).created
