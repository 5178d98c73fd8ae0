"""Long jobs in real workers: many stops lose no item, a person's stop comes between two items, steps and progress
survive a killed process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest

from jobs import progress, runs
from jobs.enqueueing import Run
from jobs.models import JobAttempt, JobStep
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

pytestmark = pytest.mark.slow

# The whole of it: LONG_JOB_ITEMS=100000 LONG_JOB_STOPS=20
ITEMS = int(os.environ.get("LONG_JOB_ITEMS", "4000"))
STOPS = int(os.environ.get("LONG_JOB_STOPS", "4"))


class Watch:
    """Looks at how far a run says it is, and fails when that goes back."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.latest = 0.0
        self.looks = 0

    def look(self) -> None:
        told = progress.of(self._run.row())
        if told is not None:
            assert told.done >= self.latest
            self.latest = told.done
            self.looks += 1


def lines(workers: Workers) -> int:
    """How many items were done, and repeated."""
    return workers.ledger_path.read_bytes().count(b"\n") if workers.ledger_path.exists() else 0


def stopped(workers: Workers, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The worker stopped, and then another one started."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=40) == 0, workers.log()
    return workers.start("--concurrency", "2")


def deployed(workers: Workers, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The new worker started before the old one stopped."""
    fresh = workers.start("--concurrency", "2")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=40) == 0, workers.log()
    return fresh


def test_a_run_that_is_stopped_again_and_again_does_each_item(workers: Workers) -> None:
    run = sample.march.enqueue(ITEMS)
    watch = Watch(run)
    process = workers.start("--concurrency", "2")
    started = time.monotonic()
    for number in range(STOPS):
        enough = lines(workers) + ITEMS // (2 * STOPS)
        wait_until(lambda enough=enough: watch.look() or lines(workers) >= enough, seconds=120, what="more items")
        assert lines(workers) < ITEMS
        process = (deployed if number % 2 else stopped)(workers, process)
    wait_until(lambda: watch.look() or run.state == "succeeded", seconds=300, what="the march to end")
    took = time.monotonic() - started
    done = Counter(int(line.split()[1]) for line in workers.ledger())
    assert sorted(done) == list(range(1, ITEMS + 1))
    repeated = done.total() - ITEMS
    assert repeated <= STOPS
    row = run.row()
    endings = Counter(JobAttempt.objects.filter(run=run.id).values_list("outcome", "verdict"))
    print(f"{ITEMS:,} items, {STOPS} stops, {repeated} repeated, {took:.0f} s, {watch.looks} looks, {dict(endings)}")
    assert (row.result, row.attempts, row.crashes) == (ITEMS, 1, 0)
    assert {outcome for outcome, _ in endings} == {"interrupted"}
    assert endings.total() >= STOPS
    watch.look()
    assert watch.latest == ITEMS


@pytest.mark.parametrize(("count", "pause"), [(20, 1.6), (1_000_000, 0.0)], ids=["long items", "short items"])
def test_a_person_s_stop_comes_between_two_items(workers: Workers, count: int, pause: float) -> None:
    run = sample.plod.enqueue(count, pause)
    workers.start("--concurrency", "2")
    wait_until(lambda: run.state == "running" and lines(workers) > 2, seconds=30, what="the first item")
    wait_until(lambda: progress.of(run.row()), seconds=15, what="its first word of how far it is")
    runs.stop(run.row(), actor="ann", reason="enough")
    wait_until(lambda: run.state == "cancelled", seconds=15, what="the end")
    begun, done = (
        [line.split()[1] for line in workers.ledger() if line.startswith(word)] for word in ("begun", "done")
    )
    assert begun == done
    assert len(done) < count
    told = progress.of(run.row())
    assert told is not None
    assert (told.done, told.total) == (len(done), count)


def killed(workers: Workers, run: Run, *, when: Callable[[], bool]) -> None:
    wait_until(when, seconds=30, what="the time to kill")
    os.kill(int(workers.ledger()[-1].split()[2]), signal.SIGKILL)


def test_a_killed_process_does_not_repeat_a_step_that_was_kept(workers: Workers) -> None:
    run = sample.book_trip.enqueue(1.5)
    workers.start("--concurrency", "2")
    killed(workers, run, when=lambda: bool(workers.ledger()) and workers.ledger()[-1].startswith("after flight"))
    wait_until(lambda: run.state == "succeeded", seconds=60, what="the trip")
    assert [line for line in workers.ledger() if line.startswith("booked")] == ["booked flight", "booked hotel"]
    assert JobStep.objects.filter(run=run.id).count() == 2
    assert run.row().crashes == 1
