"""A large batch on two queues while its servers go away, its workers die and its filling is cut off: every count is
exact, each end is told once, and whoever fills it keeps nothing of it.

`STORY_MEMBERS=100000 pytest tests/scenarios/test_large_batch.py` is the size that we promise; of kills alone, see
`test_batches`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from jobs import batches
from jobs.broker.connection import client
from jobs.models import Batch, JobRun
from tests.scenarios import faults
from tests.scenarios.workers import ROOT, Workers, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MEMBERS = int(os.environ.get("STORY_MEMBERS", "1200"))
# A worker records some 1,000 a second on a slow machine; what a fault costs comes on top.
PATIENCE = 120 + MEMBERS / 100
KEY = "large"


def begin_filling(workers: Workers) -> subprocess.Popen[bytes]:
    """A process that fills the batch and then says how much memory that took."""
    command = [sys.executable, "-m", "tests.scenarios.filling", KEY, str(MEMBERS)]
    with workers.ledger_path.with_name("filled").open("a") as told:
        return subprocess.Popen(command, cwd=ROOT, env=workers.environment(), stdout=told)


def the_batch() -> Batch:
    return Batch.objects.get(key=KEY)


def ended() -> int:
    return sum(Batch.objects.filter(key=KEY).values_list("succeeded", "dead", "discarded").first() or (0,))


def expected(*remainders: int) -> int:
    """How many members have one of these remainders by 100."""
    return sum(len(range(remainder, MEMBERS, 100)) for remainder in remainders)


def heard() -> Counter[str]:
    """The runs that tell of an end, by what they tell."""
    rows = JobRun.objects.filter(name="tests.sample.hear", batch=None).values_list("payload", flat=True)
    return Counter(args[0] for args, _named in rows if args != ["begin"])


def of_members() -> Counter[str]:
    return Counter(JobRun.objects.filter(name="tests.sample.belong").values_list("state", flat=True))


def start(workers: Workers) -> subprocess.Popen[bytes]:
    return workers.start("--concurrency", "4", SAMPLE_LEASE="5")


def test_with_its_servers_away_and_its_filling_cut_off_nothing_is_lost_or_told_twice(workers: Workers) -> None:
    filling = begin_filling(workers)
    running = [start(workers), start(workers)]

    def a_host_goes_away() -> None:
        faults.host_dies(running[0])
        start(workers)

    wait_until(lambda: JobRun.objects.filter(batch__isnull=False).count() >= MEMBERS // 3, seconds=PATIENCE)
    filling.kill()
    filling.wait()
    filling = begin_filling(workers)
    wipe = client().flushall
    happens = [wipe, faults.redis_stands_still, faults.database_stands_still, a_host_goes_away, wipe]
    for turn, happen in enumerate(happens):
        done = MEMBERS * (turn + 1) // (len(happens) + 1)
        wait_until(lambda done=done: ended() >= done, seconds=PATIENCE, what=f"{done} members to end")
        happen()
    wait_until(lambda: the_batch().state == "failed", seconds=PATIENCE, what="the batch to end")
    assert filling.wait(timeout=60) == 0
    took = workers.ledger_path.with_name("filled").read_text()
    assert float(took) < 50, f"{took.strip()} MB above idle"

    batch = the_batch()
    assert (batch.total, batch.dead, batch.discarded) == (MEMBERS, expected(0, 1, 2), expected(3, 4))
    assert of_members() == {"succeeded": batch.succeeded, "dead": batch.dead, "discarded": batch.discarded}
    assert batches.check(batch) is None
    assert heard() == {"death": 1, "complete": 1}
    assert {f"member {number}" for number in range(MEMBERS)} <= set(workers.ledger())

    # Its failed are retried, once what they failed by is mended: it succeeds, and that is told too.
    workers.ledger_path.with_name("healed").touch()
    batches.retry_failed(batch, actor="ann", reason="mended")
    wait_until(lambda: the_batch().state == "succeeded", seconds=PATIENCE, what="the batch to succeed")
    assert (the_batch().succeeded, the_batch().dead) == (MEMBERS - batch.discarded, 0)
    assert batches.check(batch) is None
    assert heard() == {"death": 1, "complete": 1, "success": 1}
