"""Batches under real workers and kills: counts are those of the members, and each callback comes once.

`BATCH_MEMBERS` and `BATCH_KILLS` say how many: 100,000 and 10 take some minutes.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter

import pytest
from django.db import transaction

from jobs import batches
from jobs.batches import batch
from jobs.models import Batch, JobRun
from jobs.models.runs import ENDED_STATES, PENDING_STATES
from tests.sample import jobs as sample
from tests.scenarios.workers import ROOT, Workers, children_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MEMBERS = int(os.environ.get("BATCH_MEMBERS", "2000"))
KILLS = int(os.environ.get("BATCH_KILLS", "6"))
TOLD = {"on_success": sample.note_batch, "on_complete": sample.note_batch, "on_death": sample.note_batch}


def done() -> int:
    return JobRun.objects.filter(name="tests.sample.member", state__in=ENDED_STATES).count()


def told(workers: Workers) -> Counter[str]:
    return Counter(line for line in workers.ledger() if line.split()[0] in ("success", "complete", "death"))


def members(workers: Workers) -> Counter[str]:
    return Counter(line for line in workers.ledger() if line.startswith("member "))


def is_over(number: int) -> bool:
    row = Batch.objects.get(pk=number)
    return not row.is_open and not JobRun.objects.filter(state__in=PENDING_STATES).exists()


def test_counts_are_exact_and_callbacks_come_once_whatever_is_killed(workers: Workers) -> None:
    running = [workers.start("--processes", "2"), workers.start("--processes", "2")]
    b = batches.start("big", sample.fill_batch.prepare(MEMBERS), key="big", **TOLD)
    chosen = random.Random(17)
    for kill in range(KILLS):
        at = (kill + 1) * MEMBERS // (KILLS + 2)
        wait_until(lambda at=at: done() >= at, seconds=300, what=f"{at} members")
        which = kill % len(running)
        wait_until(lambda which=which: children_of(running[which].pid), what="children")
        # A child or the recording process; each third time the supervisor, which another takes the place of.
        victims = children_of(running[which].pid) if kill % 3 < 2 else [running[which].pid]
        with contextlib.suppress(ProcessLookupError):
            os.kill(chosen.choice(victims), signal.SIGKILL)
        if kill % 3 == 2:
            running[which] = workers.start("--processes", "2")
    wait_until(lambda: is_over(b.id), seconds=300, what="the batch to end")
    row = b.row()
    few = range(MEMBERS)
    dead, discarded = len(few[7::50]), len(few[8::50])
    assert (row.state, row.total, row.dead, row.discarded) == ("failed", MEMBERS + 1, dead, discarded)
    assert row.succeeded == MEMBERS + 1 - dead - discarded
    assert batches.check(row) is None
    wait_until(lambda: told(workers).total() >= 2, what="the callbacks")
    assert {line.split()[0]: count for line, count in told(workers).items()} == {"death": 1, "complete": 1}
    assert len(members(workers)) == MEMBERS - dead - discarded


FILL = """
import os, signal, sys
import django
django.setup()
from jobs.batches import batch
from tests.sample import jobs as sample
stop = int(sys.argv[1])
def calls(first):
    for number in range(first, first + 100):
        if number == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        yield (number * 100 + 1,)
with batch("filled", key="filled", on_success=sample.note_batch) as b:
    for first in range(0, 500, 100):
        b.enqueue_many(sample.member, calls(first), once=str(first))
"""


def test_a_block_that_was_killed_is_gone_on_with_by_its_key(workers: Workers) -> None:
    workers.start()
    for stop in (250, 430, -1):
        subprocess.run([sys.executable, "-c", FILL, str(stop)], cwd=ROOT, env=workers.environment(), check=False)
        row = batches.get("filled")
        assert (row.sealed_at is None) == (stop > 0)
    wait_until(lambda: is_over(row.pk), seconds=60, what="the batch to end")
    row.refresh_from_db()
    assert (row.state, row.total, row.succeeded) == ("succeeded", 500, 500)
    wait_until(lambda: told(workers), what="the callback")
    assert told(workers) == {"success filled 500": 1}
    assert set(members(workers).values()) == {1}


def test_memory_does_not_grow_with_the_number(transactional_db: None) -> None:
    peaks: dict[bool, dict[int, int]] = {False: {}, True: {}}
    for is_in_transaction, found in peaks.items():
        # The first is not measured: it fills caches.
        for count in (500, 5_000, 20_000):
            tracemalloc.start()
            with transaction.atomic() if is_in_transaction else contextlib.nullcontext(), batch("flat") as b:
                b.enqueue_many(sample.member, ((number,) for number in range(count)))
            found[count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peaks[False][20_000] < 1.3 * peaks[False][5_000], peaks
    # What is to be pushed at the commit is kept in memory up to 4 MB, and in a file from there.
    assert peaks[True][20_000] < peaks[True][5_000] + 8_000_000, peaks


def test_what_waits_is_taken_back_in_the_background(workers: Workers) -> None:
    with batch("cancelled", **TOLD) as b:
        b.enqueue_many(sample.member, [(number * 100,) for number in range(1500)])
        b.enqueue_many(sample.member.using(at=3600), [(number * 100,) for number in range(1500)])
    batches.cancel(b.row(), actor="ann", reason="the wrong one")
    worker = workers.start(queues=("critical",))
    wait_until(lambda: Batch.objects.get(pk=b.id).cancelled > 400, seconds=60, what="the first to be taken back")
    for child in children_of(worker.pid):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: is_over(b.id), seconds=60, what="the batch to end")
    row = b.row()
    assert (row.state, row.total, row.cancelled) == ("cancelled", 3000, 3000)
    wait_until(lambda: told(workers), what="the callback")
    assert told(workers) == {"complete cancelled 3000": 1}
    assert batches.check(row) is None
