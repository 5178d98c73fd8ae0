"""Limits hold over processes and their deaths, and one tenant's flood is not another's."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter

import pytest

from jobs.broker import inspect
from jobs.broker.connection import client
from jobs.models import JobAttempt, JobRun
from tests.engine import hash_of
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, states, wait_until

# How much later than its claim a run may begin, on a busy machine.
LATE_SECONDS = 0.5


@pytest.mark.slow
def test_an_idle_worker_starts_a_limited_run_at_once_and_the_next_when_it_ends(workers: Workers) -> None:
    workers.start()
    first = sample.work_for.enqueue("acme", 1, 0)
    wait_until(lambda: first.state == "succeeded", seconds=30, what="the worker")
    for number in range(2, 12):
        sample.work_for.enqueue("acme", number, 0.01)
    wait_until(lambda: states() == {"succeeded": 11}, seconds=30, what="the others")
    assert inspect.laned(["default"]) == [0]
    # A worker that found them by looking each second only would take five.
    waits = sorted(JobRun.objects.values_list("wait_ms", flat=True))
    assert waits[8] < 2000, waits


@pytest.mark.slow
def test_at_most_so_many_run_at_once_whatever_is_killed(workers: Workers) -> None:
    tenants, each = ("acme", "globex", "initech"), 25
    calls = [(tenant, number, 0.15) for number in range(each) for tenant in tenants]
    sample.work_for.enqueue_many(calls)
    supervisors = [workers.start("--processes", "2", "--concurrency", "4", "--shutdown-timeout", "1") for _ in "ab"]
    killed: dict[int, float] = {}
    dice = random.Random(4)
    for strike in range(10):
        before = len(workers.ledger())
        wait_until(lambda before=before: len(workers.ledger()) > before + 4, seconds=60, what="some progress")
        if strike == 5:
            # With its children, which are asked to stop by the kernel.
            supervisors[0].kill()
            supervisors[0] = workers.start("--processes", "2", "--concurrency", "4", "--shutdown-timeout", "1")
            continue
        pids = {int(line.split()[3]) for line in workers.ledger()[-6:]} - killed.keys()
        with contextlib.suppress(IndexError, ProcessLookupError):
            pid = dice.choice(sorted(pids))
            os.kill(pid, signal.SIGKILL)
            killed[pid] = time.time()
    wait_until(lambda: states().get("succeeded") == len(calls), seconds=120, what="all to be done")
    assert killed
    most = at_once_by_tenant(workers.ledger(), killed)
    assert most == dict.fromkeys(tenants, 2)
    wait_until(lambda: not client().keys("jobs:slots:*"), what="all slots to be free")


@pytest.mark.slow
def test_a_slot_is_free_only_when_the_process_that_was_stopped_is_gone(workers: Workers) -> None:
    run, waiting = sample.work_for.enqueue("acme", 1, 40), sample.work_for.enqueue("acme", 2, 40)
    worker = workers.start("--concurrency", "2", "--shutdown-timeout", "0.5")
    wait_until(lambda: len(workers.ledger()) == 2, seconds=30, what="both to begin")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert "(interrupted): 2 of tests.sample.work_for" in workers.log()
    assert client().keys("jobs:slots:*") == client().keys("jobs:held:*") == []
    assert [hash_of(one.id)["attempts"] for one in (run, waiting)] == ["0", "0"]
    assert inspect.laned(["default"]) == [2]
    assert set(JobAttempt.objects.values_list("outcome", flat=True)) == {"interrupted"}


@pytest.mark.slow
def test_a_window_holds_over_two_workers(workers: Workers) -> None:
    sample.call_slowly.enqueue_many([(number,) for number in range(45)])
    for _ in "ab":
        workers.start("--processes", "1", "--concurrency", "5")
    wait_until(lambda: states() == {"succeeded": 45}, seconds=60, what="the calls")
    claimed = sorted(moment.timestamp() for moment in JobRun.objects.values_list("started_at", flat=True))
    began = sorted(float(line.split()[2]) for line in workers.ledger())
    # Rows keep whole milliseconds.
    assert min(tenth - first for first, tenth in zip(claimed, claimed[10:], strict=False)) >= 0.998
    assert min(tenth - first for first, tenth in zip(began, began[10:], strict=False)) >= 1 - LATE_SECONDS
    # Four windows have to pass, and little more.
    assert 3.9 < claimed[-1] - claimed[0] < 4 + 6
    assert len({run.worker for run in JobRun.objects.only("worker")}) == 2


@pytest.mark.slow
def test_a_hundred_thousand_runs_of_one_tenant_do_not_delay_another(workers: Workers) -> None:
    sample.flood_for.enqueue_many(("acme", number) for number in range(100_000))
    assert inspect.laned(["default"]) == [100_000]
    workers.start("--concurrency", "4")
    wait_until(lambda: len(workers.ledger()) > 4, seconds=60, what="the flood to run")
    waits = []
    for number in range(5):
        asked = time.time()
        sample.flood_for.enqueue("globex", number)
        wanted = f"begin globex {number} "
        wait_until(lambda wanted=wanted: any(line.startswith(wanted) for line in workers.ledger()), what="the other")
        (line,) = [line for line in workers.ledger() if line.startswith(wanted)]
        waits.append(float(line.split()[4]) - asked)
    print(f"one run behind 100,000 of another tenant began after {max(waits):.3f} s at the most ({waits})")
    assert max(waits) < 2
    assert inspect.laned(["default"])[0] > 90_000


def at_once_by_tenant(ledger: list[str], killed: dict[int, float]) -> dict[str, int]:
    """How many of each tenant's were at work at the same time, at the most: who was killed was so until then."""
    changes: list[tuple[float, int, str]] = []
    under_way: dict[tuple[str, str, str], float] = {}
    for line in ledger:
        word, tenant, number, pid, at = line.split()
        if word == "begin":
            under_way[tenant, number, pid] = float(at)
            continue
        changes += [(under_way.pop((tenant, number, pid)), 1, tenant), (float(at), -1, tenant)]
    for (tenant, _, pid), began in under_way.items():
        # Who was stopped by its supervisor's death was so for an instant.
        changes += [(began, 1, tenant), (max(began, killed.get(int(pid), began)), -1, tenant)]
    now, most = Counter[str](), Counter[str]()
    for _, by, tenant in sorted(changes):
        now[tenant] += by
        most[tenant] = max(most[tenant], now[tenant])
    return dict(most)
