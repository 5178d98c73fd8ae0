"""Dead jobs are revived by real workers: a broken partner gets its canary and no more, a healed one its rate."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import tracemalloc
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs import bulk, recovery
from jobs.models import BulkAction, DeadJob, JobRun
from jobs.models.bulk import BulkVerb
from jobs.policy.ramp import Ramp
from tests.scenarios.workers import ROOT, Workers, children_of, wait_until

pytestmark = pytest.mark.slow

JOB = "tests.sample.call_partner"


def bury(count: int) -> None:
    """So many dead runs, as the recorder leaves them."""
    now = timezone.now()
    for first in range(0, count, 1000):
        numbers = range(first, min(count, first + 1000))
        rows = [a_row(number, now) for number in numbers]
        JobRun.objects.bulk_create(rows)
        DeadJob.objects.bulk_create(
            DeadJob(run=row, life=0, name=JOB, queue=row.queue, reason="exhausted", error_class="E", died_at=now)
            for row in rows
        )


def a_row(number: int, now: Any) -> JobRun:
    run_id = uuid.uuid4()
    return JobRun(
        id=run_id,
        rq_id=str(run_id),
        name=JOB,
        queue="default",
        state="dead",
        payload=[[number], {}],
        arguments={"number": number},
        max_attempts=1,
        attempts=1,
        created_at=now,
        pushed_at=now,
        ended_at=now,
    )


def heal(workers: Workers) -> None:
    workers.ledger_path.with_name("healed").touch()


def calls(workers: Workers) -> Counter[str]:
    return Counter(line for line in workers.ledger() if line.startswith("called "))


def over(action: BulkAction) -> bool:
    action.refresh_from_db()
    return not action.is_open


def ask(**ramp: Any) -> BulkAction:
    return bulk.ask(BulkVerb.REQUEUE, bulk.Selection(), actor="ann", reason="it is back", ramp=Ramp(**ramp))[0]


def test_against_a_broken_partner_it_stops_within_its_canary_and_goes_on_when_it_is_healed(workers: Workers) -> None:
    bury(200)
    workers.start()
    action = ask(canary=5, rate=100.0)
    wait_until(lambda: over(action), seconds=60, what="the action to stop")
    assert (action.state, action.done) == ("stopped", 5)
    assert JobRun.objects.filter(name=JOB, life=1).count() == 5
    heal(workers)
    bulk.resume(action, actor="ann")
    wait_until(lambda: over(action), seconds=60, what="the action to end")
    assert (action.state, action.done) == ("finished", 200)
    assert calls(workers).total() == len(calls(workers)) == 195


def test_a_killed_worker_costs_nobody_a_second_life(workers: Workers) -> None:
    bury(300)
    heal(workers)
    worker = workers.start()
    action = ask(canary=5, rate=40.0)
    for done in (30, 120):
        wait_until(lambda done=done: BulkAction.objects.get().done >= done, seconds=60, what="some to go")
        for child in children_of(worker.pid):
            os.kill(child, signal.SIGKILL)
    wait_until(lambda: over(action), seconds=90, what="the action to end")
    assert (action.state, action.done, action.left) == ("finished", 300, {})
    assert JobRun.objects.filter(name=JOB, life=1).count() == 300


def test_the_command_works_without_a_worker_and_can_be_stopped_and_resumed(workers: Workers) -> None:
    bury(40)
    command = [sys.executable, "manage.py", "requeue_dead", "--rate", "4/s", "--no-input"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=workers.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: BulkAction.objects.filter(done__gt=4).exists(), seconds=60, what="the command to do the work")
    process.send_signal(signal.SIGINT)
    printed, _errors = process.communicate(timeout=30)
    assert "No worker has taken it, so this process does the work." in printed
    assert re.search(r"manage.py requeue_dead --resume \d+", printed)
    assert process.returncode == 1
    action = BulkAction.objects.get()
    assert (action.state, action.done < 40) == ("paused", True)
    heal(workers)
    workers.start()
    out = io.StringIO()
    call_command("requeue_dead", resume=action.pk, stdout=out)
    assert "40 dead jobs requeued." in out.getvalue()
    wait_until(lambda: calls(workers).total() == 40, seconds=30, what="all to be called")


def test_a_rule_revives_what_died_of_a_partner_that_was_away_with_nobody_looking(workers: Workers) -> None:
    bury(12)
    DeadJob.objects.update(died_at=timezone.now() - timedelta(hours=1), error_class="ConnectionError")
    DeadJob.objects.filter(pk__in=DeadJob.objects.values("pk")[:2]).update(error_class="ValueError")
    heal(workers)
    recovery.add("tests.sample.*", actor="ann", per_hour=6)
    workers.start()
    wait_until(lambda: calls(workers).total() == 6, seconds=60, what="the rule's limit to be called")
    wait_until(lambda: over(BulkAction.objects.get()), seconds=60, what="the action to end")
    assert DeadJob.objects.filter(resolution="").count() == 6
    assert set(DeadJob.objects.exclude(resolution="").values_list("error_class", flat=True)) == {"ConnectionError"}


def test_the_rate_is_held(workers: Workers) -> None:
    bury(300)
    heal(workers)
    workers.start()
    action = ask(rate=50.0)
    wait_until(lambda: over(action), seconds=90, what="the action to end")
    took = (action.released_at - action.started_at).total_seconds()
    # The first second's worth goes at once.
    assert took >= 4.5
    assert (action.state, action.done) == ("finished", 300)


def test_memory_does_not_grow_with_the_number(transactional_db: None) -> None:
    peaks = {}
    # The first is not measured: it fills caches.
    for count in (500, 1_000, 8_000):
        bury(count)
        action = ask()
        tracemalloc.start()
        while bulk.turn(action.pk) is not None:
            pass
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        action.refresh_from_db()
        assert (action.state, action.done) == ("finished", count)
    assert peaks[8_000] < 1.3 * peaks[1_000], peaks
