"""Many jobs die of three causes under real workers; the canary finds out which of the three partners is healed.

`MANY_DEAD=40000 pytest -s tests/scenarios/test_three_causes.py` is what docs/dead-jobs.md tells the figures of.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from django.core.management import call_command
from django.db.models import Max, Min

from jobs import causes
from jobs.models import BulkAction, DeadJob, FailureCause, JobAttempt, JobRun
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, wait_until

MANY = int(os.environ.get("MANY_DEAD", "1500"))
# A small number is over before a high rate is reached.
RATE = 1000 if MANY > 10_000 else 100
CANARY = 5
PARTNERS = ("bank", "carrier", "printer")
# The canary, and the two or three steps after it, are each waited for, about a second at a time.
RAMP_SECONDS = 15.0
# By so much a process grows until it has met its largest chunks in each thread; 1 kB kept of each run would be more.
MOST_GROWTH_MB = 20.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def die(workers: Workers) -> dict[str, FailureCause]:
    """Let real workers bury them all; the cause of each partner's."""
    for first in range(0, MANY, 3000):
        numbers = range(first, min(MANY, first + 3000))
        sample.call_one_of.enqueue_many([(PARTNERS[number % 3], number) for number in numbers])
    wait_until(lambda: DeadJob.objects.count() == MANY, seconds=300, what="all to be dead")
    wait_until(lambda: JobAttempt.objects.count() == MANY, seconds=60, what="all to be recorded")
    return {cause.error_class: cause for cause in FailureCause.objects.all()}


def requeue(*words: str) -> tuple[int, str, BulkAction]:
    """What `manage.py requeue_dead` ends with and says, and its bulk action."""
    out = io.StringIO()
    status = 0
    try:
        call_command("requeue_dead", *words, "--no-input", stdout=out)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, out.getvalue(), BulkAction.objects.latest("pk")


def requeue_cause(cause: FailureCause) -> tuple[int, str, BulkAction]:
    return requeue("--cause", str(cause.pk), "--canary", str(CANARY), "--rate", f"{RATE}/s")


def heal(workers: Workers, partner: str) -> None:
    workers.ledger_path.with_name(f"healed-{partner}").touch()


def called(workers: Workers, partner: str) -> list[str]:
    return [line for line in workers.ledger() if line.startswith(f"called {partner} ")]


@contextmanager
def weighed(pid: int) -> Iterator[dict[int, list[float]]]:
    """The megabytes of each child of a worker, each half second while the block lasts."""
    samples: dict[int, list[float]] = {}
    over = Event()

    def weigh() -> None:
        while not over.wait(0.5):
            for child in children_of(pid):
                samples.setdefault(child, []).append(_megabytes(child))

    thread = Thread(target=weigh)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def test_dead_jobs_of_three_causes_come_back_partner_by_partner(workers: Workers) -> None:
    worker = workers.start()
    by_error = die(workers)
    assert set(by_error) == {"ConnectionError", "TimeoutError", "PermissionError"}
    started = time.perf_counter()
    grouped = causes.open_dead()
    took = time.perf_counter() - started
    assert sorted(each.count for each in grouped) == sorted(len(range(place, MANY, 3)) for place in range(3))
    assert took < 1
    print(f"\n{MANY:,} dead jobs of {len(grouped)} causes: grouped in {1000 * took:.0f} ms")
    bank, carrier, printer = (by_error[name] for name in ("ConnectionError", "TimeoutError", "PermissionError"))

    # Broken still: a canary, and no more; and the dead of the other causes are left alone.
    status, said, action = requeue_cause(bank)
    assert (status, action.state, action.done) == (1, "stopped", CANARY), said
    assert f"{CANARY} of the latest {CANARY} failed again" in said
    assert JobRun.objects.filter(life=1).count() == CANARY

    # One partner is healed. The next of the same cause ends at its rate, and nobody calls the two that are not.
    heal(workers, "bank")
    with weighed(worker.pid) as megabytes:
        started = time.perf_counter()
        status, said, action = requeue("--resume", str(action.pk))
        took = time.perf_counter() - started
        assert (status, action.state, action.done) == (0, "finished", bank.count), said
        tell_pace(action, took, "bank")
        assert len(called(workers, "bank")) == bank.count - CANARY
        assert JobRun.objects.filter(life=1).count() == bank.count
        assert {each.count for each in causes.open_dead() if each.cause != bank.pk} == {carrier.count, printer.count}

        heal(workers, "carrier")
        heal(workers, "printer")
        for partner, cause in (("carrier", carrier), ("printer", printer)):
            started = time.perf_counter()
            status, said, action = requeue_cause(cause)
            took = time.perf_counter() - started
            assert (status, action.state, action.done) == (0, "finished", cause.count), said
            tell_pace(action, took, partner)
            wait_until(lambda partner=partner, cause=cause: len(called(workers, partner)) == cause.count)
            assert cause.count / RATE - 4 < took < cause.count / RATE + RAMP_SECONDS

    # The canary of the bank that died a second time.
    assert DeadJob.objects.filter(resolution="").count() == CANARY
    for samples in megabytes.values():
        settled = samples[len(samples) // 3 :]
        print("a process, in MB:", *(f"{each:.0f}" for each in settled[:: max(1, len(settled) // 12)]))
        assert max(settled) < settled[0] + MOST_GROWTH_MB, settled


def tell_pace(action: BulkAction, took: float, partner: str) -> None:
    ran = JobRun.objects.filter(life=1, name=sample.call_one_of.name, payload__0__0=partner, state="succeeded")
    span = ran.aggregate(first=Min("started_at"), last=Max("ended_at"))
    seconds = (span["last"] - span["first"]).total_seconds()
    print(
        f"{partner}: {action.done:,} in {took:.1f} s of {RATE}/s; from the first start to the last end {seconds:.1f} s"
    )
