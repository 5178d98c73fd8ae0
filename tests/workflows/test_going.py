"""Workflows go their way: order, failures, conditions, results, fan-out."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.utils import timezone

from jobs import dead
from jobs.models import Batch, DeadJob, Workflow
from jobs.testing import drain
from jobs.workflows import Flow, any_of, chain, condition, ended, failed, holds, item, previous, result_of
from tests.workflows.conftest import states

pytestmark = pytest.mark.django_db


def order(work):
    flow = Flow("order", key="order-1")
    flow.step("charge", work("charge"))
    flow.step("fulfil", work("fulfil"), after="charge")
    flow.step("tell", work("tell"), after=failed("charge"))
    flow.step("close", work("close"), after=ended("fulfil"))
    return flow


def test_a_workflow_goes_its_way(work):
    workflow = order(work).start()
    drain()
    workflow.refresh_from_db()
    assert work.calls == ["charge", "fulfil", "close"]
    assert states(workflow) == {"charge": "succeeded", "fulfil": "succeeded", "tell": "skipped", "close": "succeeded"}
    assert (workflow.state, workflow.trouble, workflow.ripe_at) == ("succeeded", "", None)


def test_a_failure_blocks_what_wanted_success_and_calls_what_wanted_failure(work):
    work.will["charge"] = "fail"
    workflow = order(work).start()
    drain()
    workflow.refresh_from_db()
    assert work.calls == ["charge", "tell", "close"]
    assert states(workflow) == {"charge": "failed", "fulfil": "blocked", "tell": "succeeded", "close": "succeeded"}
    assert workflow.state == "succeeded"
    assert workflow.steps.get(name="charge").why == "its run died: ValueError: no"


def test_a_failure_that_no_step_is_for_is_the_workflows(work):
    work.will["a"] = "fail"
    workflow = chain(work("a"), work("b")).start()
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, list(states(workflow).values())) == ("failed", ["failed", "blocked"])


def test_a_dead_run_that_is_revived_lets_the_workflow_go_on(work):
    work.will["a"] = "fail"
    workflow = chain(work("a"), work("b")).start()
    drain()
    del work.will["a"]
    dead.requeue(DeadJob.objects.get(), actor="test")
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "a", "b"])


def test_results_are_handed_on_by_reference(work):
    work.will["plan"] = lambda: {"total": 120, "lines": [{"id": 1}, {"id": 2}]}
    flow = Flow("order")
    flow.step("plan", work("plan"))
    flow.step("pay", work("pay", result_of("plan", "total")), after="plan")
    flow.step(
        "each", work("ship", item("id"), result_of("pay")), each=result_of("plan", "lines"), after=["plan", "pay"]
    )
    flow.step("sum", work("sum", result_of("each")), after="each")
    workflow = flow.start()
    drain()
    assert work.calls == ["plan", ("pay", 120), ("ship", 1, "pay"), ("ship", 2, "pay"), ("sum", ["ship", "ship"])]
    assert set(states(workflow).values()) == {"succeeded"}


def test_a_chain_hands_on_what_came_before(work):
    chain(work("a"), work("b", previous()), work("c", previous())).start()
    drain()
    assert work.calls == ["a", ("b", "a"), ("c", "b")]


@pytest.mark.parametrize(("total", "called"), [(120, ["plan", "big", "end"]), (100, ["plan", "end"])])
def test_a_step_whose_condition_does_not_hold_is_skipped(work, total, called):
    work.will["plan"] = total
    flow = Flow("order")
    flow.step("plan", work("plan"))
    flow.step("big", work("big"), after="plan", when=result_of("plan").above(100))
    flow.step("end", work("end"), after=["plan", "big"])
    flow.start()
    drain()
    assert work.calls == called


def test_the_first_of_any_lets_it_begin_once(work):
    flow = Flow("race")
    flow.step("a", work("a"))
    flow.step("b", work("b"))
    flow.step("c", work("c"), after=any_of("a", "b"))
    flow.start()
    drain()
    assert sorted(work.calls) == ["a", "b", "c"]


def test_a_key_is_one_workflow(work):
    first = order(work).start()
    again = order(work).start()
    assert (first.created, again.created, again.pk) == (True, False, first.pk)
    assert (Workflow.objects.count(), Batch.objects.count()) == (1, 1)


@condition(name="tests.workflows.broken_condition")
def is_broken(total):
    raise ValueError("token=s3cret\0\ud800")


def test_a_condition_that_raises_holds_up_no_other_step_and_says_no_secret(work):
    flow = Flow("order")
    flow.step("plan", work("plan"))
    flow.step("odd", work("odd"), after="plan", when=holds(is_broken, result_of("plan")))
    flow.step("even", work("even"), after="plan")
    workflow = flow.start()
    drain()
    workflow.refresh_from_db()
    assert states(workflow) == {"plan": "succeeded", "odd": "waiting", "even": "succeeded"}
    assert workflow.trouble == '"odd" cannot begin: ValueError: token=[redacted]'


@condition(name="tests.workflows.asks_elsewhere")
def asks_elsewhere():
    raise OperationalError("another database is away")


def test_a_condition_whose_own_database_is_away_holds_up_no_other_workflow(work):
    flow = Flow("order")
    flow.step("odd", work("odd"), when=holds(asks_elsewhere))
    workflow = flow.start()
    chain(work("a"), work("b"), name="whole").start()
    drain()
    assert set(Workflow.objects.values_list("name", "state")) == {("order", "running"), ("whole", "succeeded")}
    workflow.refresh_from_db()
    assert workflow.trouble == '"odd" cannot begin: OperationalError: another database is away'


def test_a_workflow_that_was_edited_by_hand_holds_up_no_other(work):
    broken, _ = (chain(work("a"), work("b"), name=name).start() for name in ("broken", "whole"))
    broken.steps.filter(place=1).update(after=[17])
    drain()
    assert set(Workflow.objects.values_list("name", "state")) == {("broken", "running"), ("whole", "succeeded")}
    broken.refresh_from_db()
    assert broken.trouble.startswith("TypeError")
    assert broken.ripe_at > timezone.now()
