"""Workflows under `inline` and `fake`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.models import Workflow
from jobs.testing import fake, inline
from jobs.workflows import Flow, failed, result_of
from tests.engine import make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db


def a_flow(make_job: Callable[..., Any], plan: Callable[[], Any]) -> tuple[Flow, list[Any]]:
    told: list[Any] = []
    flow = Flow("inline")
    flow.step("plan", make_job(plan, retry=1).prepare())
    flow.step("do", make_job(told.append).prepare(result_of("plan", "total")), after="plan")
    flow.step("tell", make_job(lambda: told.append("failed")).prepare(), after=failed("plan"))
    return flow, told


def test_steps_run_one_after_the_other_with_the_results_of_those_before(make_job: Callable[..., Any]) -> None:
    flow, told = a_flow(make_job, lambda: {"total": 7})
    with inline() as jobs:
        flow.start()
    assert told == [7]
    assert jobs.attempts.counts == {"done": 2}
    assert Workflow.objects.get().state == "succeeded"


def test_what_follows_a_failure_runs_too(make_job: Callable[..., Any]) -> None:
    flow, told = a_flow(make_job, lambda: 1 / 0)
    with inline(errors="keep"):
        flow.start()
    assert told == ["failed"]


def test_the_first_steps_are_seen_under_fake(make_job: Callable[..., Any]) -> None:
    flow, told = a_flow(make_job, lambda: {"total": 7})
    with fake() as jobs:
        flow.start()
    assert [one.name for one in jobs.enqueued] == [flow.steps["plan"].call.job.name]
    assert (told, jobs.batches) == ([], [])
