"""What an operator does with workflows: retry from a step, skip one, cancel, resume."""

from __future__ import annotations

import pytest

from jobs import workflows
from jobs.errors import NotCancellable, NotResumable, NotRetryable, NotSkippable
from jobs.models import AuditEntry, DeadJob, JobRun
from jobs.testing import drain
from jobs.workflows import Flow, chain, failed, item, result_of
from tests.workflows.conftest import states

pytestmark = pytest.mark.django_db

ADA = {"actor": "ada", "reason": "test"}


@pytest.fixture
def broken(work):
    """a → b → c, and d after a alone; b has failed."""
    work.will["b"] = "fail"
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", work("b"), after="a")
    flow.step("c", work("c", result_of("b")), after="b")
    flow.step("d", work("d"), after="a")
    workflow = flow.start()
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, states(workflow)["c"]) == ("failed", "blocked")
    work.calls.clear()
    work.will.clear()
    return workflow


def test_a_failed_step_is_retried_with_what_comes_after_it(work, broken):
    workflows.retry_from(broken, "b", **ADA)
    assert broken.state == "running"
    drain()
    broken.refresh_from_db()
    assert (broken.state, work.calls) == ("succeeded", ["b", ("c", "b")])
    # The dead run was given a new life, not doubled.
    assert JobRun.objects.count() == 4
    assert DeadJob.objects.get().resolution == "requeued"
    told = AuditEntry.objects.get(action="retry step")
    assert (told.actor, told.reason, told.target) == ("ada", "test", f"workflow {broken.pk} b")


def test_a_step_that_succeeded_is_done_again_with_all_after_it(work, broken):
    workflows.retry_from(broken, "a", **ADA)
    drain()
    broken.refresh_from_db()
    assert broken.state == "succeeded"
    assert sorted(map(str, work.calls)) == ["('c', 'b')", "a", "b", "d"]
    # A dead run of a step that begins anew would run beside it.
    assert DeadJob.objects.get().resolution == "discarded"


def test_of_many_only_the_dead_are_retried(work):
    work.will["2"] = "fail"
    flow = Flow("each")
    flow.step("each", work(item()), each=["1", "2", "3"])
    flow.step("sum", work("sum", result_of("each")), after="each")
    workflow = flow.start()
    drain()
    assert states(workflow) == {"each": "failed", "sum": "blocked"}
    work.will.clear()
    work.calls.clear()
    workflows.retry_from(workflow, "each", **ADA)
    drain()
    assert work.calls == ["2", ("sum", ["1", "2", "3"])]


def test_a_failed_step_that_is_skipped_lets_the_others_go_on(work, broken):
    workflows.skip(broken, "b", **ADA)
    drain()
    broken.refresh_from_db()
    assert (broken.state, work.calls) == ("succeeded", [("c", None)])
    assert states(broken)["b"] == "skipped"
    assert broken.steps.get(name="b").why == "skipped by ada: test"
    assert DeadJob.objects.get().resolution == "discarded"


def test_a_step_can_be_skipped_before_its_turn(work):
    workflow = chain(work("a"), work("b"), work("c")).start()
    workflows.skip(workflow, "work-2", **ADA)
    drain()
    assert work.calls == ["a", "c"]


def test_what_a_person_discards_is_no_success(work):
    from jobs import dead

    work.will["a"] = "fail"
    workflow = chain(work("a"), work("b")).start()
    drain()
    dead.discard(DeadJob.objects.get(), **ADA)
    drain()
    assert list(states(workflow).values()) == ["failed", "blocked"]


def test_what_a_job_discards_is_a_success_without_a_result(work):
    work.will["a"] = "discard"
    workflow = chain(work("a"), work("b", result_of("work"))).start()
    drain()
    assert list(states(workflow).values()) == ["succeeded", "succeeded"]
    assert work.calls == ["a", ("b", None)]


def test_a_cancelled_workflow_goes_no_further_until_it_is_resumed(work):
    workflow = chain(work("a"), work("b")).start()
    workflows.cancel(workflow, **ADA)
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("cancelled", [])
    assert list(states(workflow).values()) == ["cancelled", "cancelled"]
    workflows.resume(workflow, **ADA)
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "b"])
    actions = AuditEntry.objects.filter(target__startswith="workflow").values_list("action", flat=True)
    assert sorted(actions) == ["cancel workflow", "resume workflow"]


def test_many_runs_are_taken_back_in_the_background(work):
    flow = Flow("many")
    flow.step("each", work(item()), each=list(map(str, range(150))))
    workflow = flow.start()
    workflows.cancel(workflow, **ADA)
    drain(queues=["low"])
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, states(workflow), work.calls) == ("cancelled", {"each": "cancelled"}, [])


@pytest.mark.parametrize(
    ("verb", "arguments", "refusal", "why"),
    [
        (workflows.retry_from, ["c"], NotRetryable, '"c" is blocked: only a step that has ended'),
        (workflows.retry_from, ["bb"], NotRetryable, 'no step "bb" in it'),
        (workflows.skip, ["a"], NotSkippable, '"a" is succeeded: there is nothing to skip'),
        (workflows.cancel, [], NotCancellable, "has failed: only one that runs"),
        (workflows.resume, [], NotResumable, "has failed: there is nothing to go on with"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(broken, verb, arguments, refusal, why):
    before, audited = states(broken), AuditEntry.objects.count()
    with pytest.raises(refusal, match=why):
        verb(broken, *arguments, **ADA)
    assert (states(broken), AuditEntry.objects.count()) == (before, audited)


def test_what_is_done_twice_is_refused_the_second_time(broken):
    workflows.retry_from(broken, "b", **ADA)
    with pytest.raises(NotRetryable, match='"b" is running'):
        workflows.retry_from(broken, "b", **ADA)
    with pytest.raises(NotSkippable, match="cancel its runs first"):
        workflows.skip(broken, "b", **ADA)
    assert JobRun.objects.filter(state="queued").count() == 1


def test_what_is_under_way_behind_it_is_not_pulled_from_under(work):
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("b", work.job.using(queue="low").prepare("b"), after="a")
    workflow = flow.start()
    drain(queues=["default"])
    with pytest.raises(NotRetryable, match='"b", which comes after "a", is under way'):
        workflows.retry_from(workflow, "a", **ADA)


def test_a_workflow_that_was_cancelled_is_resumed_before_it_is_retried(work):
    work.will["a"] = "fail"
    flow = Flow("order")
    flow.step("a", work("a"))
    flow.step("tell", work.job.using(queue="low").prepare("tell"), after=failed("a"))
    workflow = flow.start()
    drain(queues=["default"])
    workflows.cancel(workflow, **ADA)
    with pytest.raises(NotResumable, match="resume it first"):
        workflows.retry_from(workflow, "a", **ADA)
    with pytest.raises(NotCancellable):
        workflows.cancel(workflow, **ADA)
