"""What is in a new demo, so that nobody who opens a page of the console finds it empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.models import Batch, JobRun, ScheduleTick, Workflow
from jobs.testing import drain
from orders.demo.accounts import OPERATOR
from orders.demo.life import give_life
from orders.jobs import make_daily_report
from orders.models import Order
from orders.seed import seed


@pytest.fixture
def nobody_answers(settings: Any, tmp_path: Path) -> None:
    """No partner is there, not even those of a demo that runs on this machine."""
    settings.PAYMENTS_URL = settings.LISTS_URL = settings.WAREHOUSE_URL = settings.MAILBOX_URL = "http://127.0.0.1:9"
    settings.MEDIA_ROOT = tmp_path


@pytest.mark.django_db
def test_a_new_demo_has_a_schedule_that_ran_a_batch_of_several_and_a_workflow(nobody_answers: None) -> None:
    seed()
    give_life()
    drain(queues=["default", "low"])
    tick = ScheduleTick.objects.get()
    assert JobRun.objects.get(pk=tick.run).name == make_daily_report.name
    assert tick.by_hand == OPERATOR
    export = Batch.objects.get(name__startswith="Export ")
    assert (export.state, export.total) == ("succeeded", 2)
    assert Workflow.objects.get().key == f"order-{Order.objects.latest('placed_at').pk}"

    give_life()
    assert ScheduleTick.objects.count() == 1
