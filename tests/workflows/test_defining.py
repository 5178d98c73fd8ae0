"""What does not fit together is refused when it is defined, by name and with a cure."""

from __future__ import annotations

import time

import pytest

from jobs import errors
from jobs.errors import BadArguments, BadOptions, BadWorkflow, UnknownQueue
from jobs.workflows import Flow, any_of, chain, condition, ended, failed, holds, item, previous, result_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def flow(work):
    flow = Flow("order")
    flow.step("charge", work("charge"))
    return flow


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda flow, work: flow.step("charge", work("x")), 'two steps named "charge"'),
        (lambda flow, work: flow.step("", work("x")), "the name of a step is ''"),
        (lambda flow, work: flow.step("x", work.job), "pass job.prepare"),
        (lambda flow, work: flow.step("x", work("x"), after=[any_of("charge")]), r"any_of\(…\) alone"),
        (lambda flow, work: flow.step("x", work(item())), r"has item\(\) in it; say each="),
        (lambda flow, work: flow.step("x", work("x"), each=[1]), r"item\(\) is nowhere"),
        (lambda flow, work: flow.step("x", work.job, each="abc"), "pass a list or a result_of"),
        (lambda flow, work: flow.step("x", work("x"), when=True), "has when=True"),
        (lambda flow, work: flow.step("x", work("x"), when=result_of("charge")), "pass a condition such as"),
        (lambda flow, work: flow.step("x", work("x"), when=holds(print)), "not known as a condition"),
        (lambda flow, work: Flow("x", on_stall="tell"), r"pass job.prepare"),
        (lambda flow, work: Flow("x", on_success=work(result_of("charge"))), "has no results"),
        (lambda flow, work: chain(work(previous())), "nothing is before it"),
        (lambda flow, work: chain(work.job), "cannot be part of a chain"),
    ],
)
def test_a_step_that_cannot_be_is_refused_at_once(flow, work, define, said):
    with pytest.raises((BadWorkflow, TypeError), match=said):
        define(flow, work)


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (lambda flow, work: flow.step("x", work("x"), after="chrage"), 'Did you mean "charge"'),
        (lambda flow, work: flow.step("x", work("x"), after="x"), "wait for one another: x → x"),
        (
            lambda flow, work: (flow.step("x", work("x"), after="y"), flow.step("y", work("y"), after=ended("x"))),
            "wait for one another: [xy] → [xy] → [xy]",
        ),
        (lambda flow, work: flow.step("x", work("x"), after=["charge", failed("charge")]), "could never begin"),
        (lambda flow, work: flow.step("x", work(result_of("charge"))), 'say after="charge"'),
        (lambda flow, work: flow.step("x", work({"a": [result_of("chrage")]})), 'Did you mean "charge"'),
        (lambda flow, work: flow.step("x", work.job, each=result_of("charge")), 'say after="charge"'),
        (lambda flow, work: flow.step("x", work("x"), when=result_of("charge").is_true()), 'say after="charge"'),
        (lambda flow, work: flow.step("x", work(previous()), after="charge"), "is for chains"),
    ],
)
def test_steps_that_do_not_fit_together_are_refused(flow, work, define, said):
    define(flow, work)
    with pytest.raises(BadWorkflow, match=said):
        flow.start()


def test_a_workflow_without_steps_is_refused():
    with pytest.raises(BadWorkflow, match="has no step"):
        Flow("empty").start()


def test_what_would_be_refused_when_it_begins_is_refused_before(make_job, work):
    flow = Flow("order")
    with pytest.raises(BadArguments):
        flow.step("x", work.job.prepare())
    with pytest.raises(errors.ArgumentsNotJSON):
        flow.step("x", work(object()))
    with pytest.raises(UnknownQueue):
        flow.step("x", work.job.using(queue="nowhere").prepare("x"))
    flood = make_job(print, name="tests.workflows.flood", durable=False)
    with pytest.raises(BadOptions, match="durable"):
        flow.step("x", flood.prepare())
    with pytest.raises(BadOptions, match="stalls_after"):
        Flow("x", stalls_after=0)


def test_references_are_plain_json_and_say_nothing_to_the_type_checker(work):
    told = work(result_of("charge", "total"), [item()]).as_json()
    assert told["args"] == [{"jobs:result_of": "charge", "path": ["total"]}, [{"jobs:item": True, "path": []}]]


def test_steps_may_be_said_in_any_order(work):
    flow = Flow("order")
    flow.step("b", work("b", result_of("a")), after="a")
    flow.step("a", work("a"))
    assert [step.name for step in flow.order()] == ["a", "b"]
    flow.check()


def test_a_thousand_steps_are_checked_in_no_time(work):
    flow = Flow("big")
    for number in range(1000):
        before = [str(number - 1), str(number // 2)] if number else []
        flow.step(str(number), work(result_of("0") if number else "0"), after=before)
    began = time.perf_counter()
    flow.check()
    # Milliseconds; a minute's worth of ancestors would be found out.
    assert time.perf_counter() - began < 2


@condition
def is_even(number: int) -> bool:
    return number % 2 == 0


def test_a_condition_is_stored_by_its_name():
    assert holds(is_even, result_of("a")) == {
        "predicate": "tests.workflows.test_defining.is_even",
        "args": [{"jobs:result_of": "a", "path": []}],
        "kwargs": {},
    }
