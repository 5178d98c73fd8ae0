"""Members of a batch whose place later runs of a unique job take."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import Unique, runs
from jobs.batches import batch
from jobs.errors import AlreadyPending
from jobs.models import Batch, JobRun, RunState
from tests.at_once import at_once
from tests.engine import make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_replaces_many_and_whoever_records_one_do_not_wait_in_a_circle(make_job):
    work = make_job(lambda number: number, name="tests.batches.replaced", unique=Unique(on_conflict="replace"))
    calls = [(number,) for number in range(5)]
    with batch("Newsletter") as b:
        b.enqueue_many(work, calls)
    is_held = threading.Event()

    def act(records):
        if not records:
            is_held.wait(10)
            work.enqueue_many(calls)
            return
        with transaction.atomic():
            row = runs.lock([JobRun.objects.order_by("pk")[3].pk])[0]
            is_held.set()
            # Long enough for who replaces to come to this run.
            time.sleep(0.3)
            runs.transition(row, RunState.SUCCEEDED, at=timezone.now())
            runs.save_all([row])

    # It ended meanwhile: where that is seen too late, who replaces is refused.
    at_once(act, [True, False], refusals=AlreadyPending)
    assert Batch.objects.get().succeeded == 1
