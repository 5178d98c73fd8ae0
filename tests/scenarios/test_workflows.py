"""A workflow that stalls is recovered by the workers. (What goes wrong otherwise is in `test_large_workflow`.)"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.broker.connection import client
from jobs.models import JobRun, Workflow
from jobs.workflows import Flow, result_of
from tests.sample.jobs import add
from tests.scenarios.workers import Workers, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_workflow_whose_run_is_lost_is_recovered_by_the_workers(workers: Workers) -> None:
    flow = Flow("order", stalls_after=timedelta(seconds=1))
    flow.step("first", add.prepare(1, 2))
    flow.step("last", add.prepare(3, result_of("first")), after="first")
    workflow = flow.start()
    client().flushall()
    JobRun.objects.all().delete()
    Workflow.objects.update(stalls_at=timezone.now())
    workers.start()
    wait_until(lambda: Workflow.objects.get().state == "succeeded", seconds=60, what="the workflow to end")
    workflow.refresh_from_db()
    assert workflow.stalls == 1
    assert workers.ledger() == ["add 1 2", "add 3 3"]
