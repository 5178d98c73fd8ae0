"""Workflows in the tests of those who use them."""

from __future__ import annotations

import pytest

from jobs import current_run, workflows
from jobs.batches import batch
from jobs.errors import NoCurrentStep
from jobs.testing import drain, fake, inline
from jobs.workflows import Flow, chain, failed, result_of
from tests.workflows.conftest import states

pytestmark = pytest.mark.django_db


def test_what_is_faked_shows_the_first_steps(work):
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", work("b"))
    flow.step("c", work("c"), after="a")
    with fake() as jobs:
        flow.start()
    assert [one.arguments["name"] for one in jobs.enqueued] == ["a", "b"]


def test_what_is_faked_is_in_no_trouble(work):
    with fake():
        workflow = chain(work("a"), work("b")).start()
    assert (workflow.trouble, list(states(workflow).values())) == ("", ["running", "waiting"])


def test_what_runs_inline_runs_to_its_end(work):
    work.will["b"] = "fail"
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", work("b", result_of("a")), after="a")
    flow.step("c", work("c"), after="b")
    flow.step("d", work("d", result_of("a")), after=failed("b"))
    with inline(errors="keep") as jobs:
        workflow = flow.start()
    workflow.refresh_from_db()
    assert work.calls == ["a", ("b", "a"), ("d", "a")]
    assert jobs.attempts.counts == {"done": 2, "bury": 1}
    assert (workflow.state, states(workflow)["c"]) == ("succeeded", "blocked")


def test_batches_and_workflows_run_inline_beside_each_other(work):
    with inline() as jobs:
        with batch("letters") as letters:
            letters.enqueue_many(work.job, [("x",), ("y",)])
        workflow = chain(work("a"), work("b")).start()
    workflow.refresh_from_db()
    assert work.calls == ["x", "y", "a", "b"]
    assert (workflow.state, jobs.batches[0].row.succeeded) == ("succeeded", 2)


def test_a_run_of_no_workflow_has_no_step(make_job):
    def ask():
        return workflows.current().name

    make_job(ask, name="tests.workflows.ask").enqueue()
    (attempt,) = drain()
    assert isinstance(attempt.error, NoCurrentStep)


def test_a_run_knows_its_step_and_the_results_of_others(work, make_job):
    told = []

    def ask():
        here = workflows.current()
        told.append((here.name, here.workflow.name, here.result("a"), here.state("a"), here.result("c")))
        with pytest.raises(NoCurrentStep, match='Did you mean "a"'):
            here.result("aa")

    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", make_job(ask, name="tests.workflows.ask").prepare(), after="a")
    flow.step("c", work("c"), after="b")
    flow.start()
    drain()
    assert told == [("b", "order", "a", "succeeded", None)]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (lambda: None, "returned nothing, what is not plain JSON, or more than"),
        (lambda: "x" * 20_000, 'JOBS["MAX_RESULT_BYTES"]'),
        (lambda: {"sum": 1}, "the result of \"a\" has no ['total']"),
    ],
)
def test_a_result_that_was_not_kept_fails_the_step_that_needs_it(work, result, said):
    work.will["a"] = result
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", work("b", result_of("a", "total")), after="a")
    workflow = flow.start()
    drain()
    assert states(workflow) == {"a": "succeeded", "b": "failed"}
    assert said in workflow.steps.get(name="b").why
    # What returns something else by now is done anew, and what failed by it begins for the first time.
    work.will["a"] = lambda: {"total": 1}
    workflows.retry_from(workflow, "a", actor="ada")
    drain()
    assert states(workflow) == {"a": "succeeded", "b": "succeeded"}


def test_a_list_of_no_items_has_succeeded(work):
    flow = Flow("none")
    flow.step("each", work.job, each=[])
    flow.step("sum", work("sum", result_of("each")), after="each")
    workflow = flow.start()
    drain()
    assert (work.calls, set(states(workflow).values())) == ([("sum", [])], {"succeeded"})


def test_a_unique_job_waits_for_its_equal(make_job, work):
    calls = []
    unique = make_job(calls.append, name="tests.workflows.unique", unique="args")
    first = unique.using(queue="low").enqueue("x")
    workflow = chain(unique.prepare("x"), work("after")).start()
    assert "waits: tests.workflows.unique is unique, and an equal run is pending" in workflow.trouble
    drain()
    assert (calls, first.state) == (["x"], "succeeded")
    workflows.resume(workflow, actor="ada")
    drain()
    assert (calls, work.calls) == (["x", "x"], ["after"])


def test_what_a_step_starts_is_a_workflow_of_its_own_with_its_parent(work, make_job):
    ids = []

    def begin():
        ids.append(current_run().id)
        chain(work("inner"), name="inner").start()

    outer = chain(make_job(begin, name="tests.workflows.begin").prepare(), name="outer").start()
    drain()
    outer.refresh_from_db()
    inner = type(outer).objects.get(name="inner")
    assert (outer.state, inner.state, inner.parent) == ("succeeded", "succeeded", ids[0])
    assert outer.parent is None
