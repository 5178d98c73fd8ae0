"""A run's page says what it waits for, where a limit keeps it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from jobs import at_once, per_window
from jobs.broker.connection import client as broker
from jobs.broker.lane_now import lane_of
from jobs.broker.settle import Settlement, settle
from jobs.models import JobRun
from jobs.registry import Job
from jobs.relay import relay
from tests.engine import WORKER, claim, make_job

__all__ = ["make_job"]


def _do(customer: int) -> None: ...


@pytest.fixture
def sync(make_job) -> Job:
    return make_job(_do, "tests.sync", limits=[at_once(1, key="customer"), per_window(2, seconds=60, name="crm")])


def page(client: Client, run) -> str:
    return client.get(reverse("admin:jobs_jobrun_change", args=[run.id])).content.decode()


def pushed(job: Job, *customers: int) -> list[JobRun]:
    runs = [job.enqueue(customer) for customer in customers]
    relay(min_age=None)
    return runs


def test_a_page_says_which_limit_is_full(viewer: Client, sync: Job) -> None:
    first, second, third = pushed(sync, 7, 7, 7)
    claim(5)
    assert "It waits for its limit: tests.sync[customer], 1 of 1 at once." in page(viewer, second)
    assert "It is the first of its lane." in page(viewer, second)
    assert "1 run is ahead of it in its lane." in page(viewer, third)
    assert "Waiting for its turn within its limits" in page(viewer, third)
    assert lane_of(str(first.id)) is None


def test_a_page_says_which_window_is_full(viewer: Client, sync: Job) -> None:
    *_, last = pushed(sync, 7, 8, 9)
    settle(WORKER, [Settlement(one, "end") for one in claim(5)])
    assert claim(5) == []
    assert "It waits for its limit: crm, 2 of 2 in 60 s." in page(viewer, last)


def test_a_page_says_that_a_run_has_its_turn_soon(viewer: Client, sync: Job) -> None:
    (run,) = pushed(sync, 7)
    assert "It is limited, and has its turn soon" in page(viewer, run)


def test_the_page_of_a_run_without_limits_says_nothing_of_lanes(viewer: Client, make_job) -> None:
    (run,) = pushed(make_job(_do, "tests.free"), 7)
    assert "its lane" not in page(viewer, run)


def test_the_page_opens_while_redis_holds_other_things(viewer: Client, sync: Job) -> None:
    first, _ = pushed(sync, 7, 7)
    lane = lane_of(str(first.id)).name
    broker().delete(f"jobs:lane:{lane}", "jobs:slots:at_once:tests.sync[customer] 7")
    broker().set(f"jobs:lane:{lane}", "x")
    broker().set("jobs:slots:at_once:tests.sync[customer] 7", "x")
    assert "tests.sync" in page(viewer, first)
    broker().set(f"rq:job:{first.id}", "x")
    assert "tests.sync" in page(viewer, first)
