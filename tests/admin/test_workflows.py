from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import audit
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, Batch, Workflow, WorkflowStep
from jobs.testing import drain
from jobs.workflows import Flow, failed
from tests.admin.rows import a_run
from tests.engine import make_job

__all__ = ["make_job"]

LIST = reverse("admin:jobs_workflow_changelist")
_RUN_STATES = {"running": "running", "succeeded": "succeeded", "failed": "dead"}


def a_workflow(steps: Mapping[str, tuple[str, list[list[str]]]], **facts: Any) -> Workflow:
    """A workflow of steps: the state of each, and what it comes after."""
    workflow = Workflow.objects.create(**{"name": "Order <b>17</b>", "moved_at": timezone.now(), **facts})
    for place, (name, (state, after)) in enumerate(steps.items()):
        facts = {}
        if state in _RUN_STATES:
            batch = Batch.objects.create(name=name, workflow=workflow, state=state, total=1, sealed_at=timezone.now())
            run = a_run(_RUN_STATES[state], batch=batch, result={"id": 7, "token": "tok_live"})
            facts = {"batch": batch, "run": run.pk, "size": 1, "rounds": 1, "started_at": timezone.now()}
        call = {"job": f"shop.{name}", "args": ["tok_secret"], "kwargs": {}}
        workflow.steps.create(name=name, place=place, state=state, after=after, call=call, **facts)
    return workflow


def an_order(**facts: Any) -> Workflow:
    return a_workflow(
        {
            "charge": ("failed", []),
            "ship": ("blocked", [["charge", "success"]]),
            "tell": ("running", [["charge", "failure"]]),
            "close": ("waiting", [["ship", "end"], ["tell", "end"]]),
        },
        **facts,
    )


def page_of(workflow: Workflow) -> str:
    return reverse("admin:jobs_workflow_change", args=[workflow.pk])


def act_on(workflow: Workflow, name: str, step: str = "") -> str:
    if not step:
        return reverse("admin:jobs_workflow_act", args=[workflow.pk, name])
    return reverse("admin:jobs_workflow_act_on_step", args=[workflow.pk, workflow.steps.get(name=step).pk, name])


def states(workflow: Workflow) -> dict[str, str]:
    return dict(workflow.steps.order_by("place").values_list("name", "state"))


def told(answer: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.fixture
def gone_wrong(make_job: Any, transactional_db: None) -> Workflow:
    """A workflow whose first step has failed and whose third has told of it."""
    calls: list[str] = []

    def work(name: str) -> str:
        calls.append(name)
        if name == "charge" and calls.count(name) == 1:
            raise ValueError("no")
        return name

    job = make_job(work, name="tests.admin.work", retry=1)
    flow = Flow("order")
    flow.step("charge", job.prepare("charge"))
    flow.step("ship", job.prepare("ship"), after="charge")
    flow.step("tell", job.prepare("tell"), after=failed("charge"))
    workflow = flow.start()
    drain()
    assert states(workflow) == {"charge": "failed", "ship": "blocked", "tell": "succeeded"}
    return workflow


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    workflow = an_order()
    for address in (LIST, page_of(workflow), act_on(workflow, "cancel"), act_on(workflow, "skip", "ship")):
        assert stranger.get(address).status_code == 403


def test_an_empty_list_shows_how_to_make_one(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No workflows" in answer.content
    assert b"flow.start()" in answer.content


def test_the_list_tells_how_far_each_is_and_what_stalls(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    an_order(stalled_at=timezone.now(), trouble="cannot begin: <i>", moved_at=timezone.now() - timedelta(hours=2))
    a_workflow({"one": ("succeeded", [])}, name="Export", state="succeeded", ended_at=timezone.now())
    lost = {"pay": ("failed", []), "ship": ("blocked", [["pay", "success"]])}
    a_workflow(lost, name="Unpaid", state="failed", ended_at=timezone.now())
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "Order &lt;b&gt;17&lt;/b&gt;" in page
    assert '<progress max="4" value="2"' in page
    assert "2 of 4 steps" in page
    assert "1 of 1 step" in page
    assert "2 of 2 steps" in page
    assert "cannot begin: &lt;i&gt;" in page
    assert page.count("stalled</span>") == 2
    for query, shown in (
        ({"state": "stalled"}, "Order"),
        ({"state": "succeeded"}, "Export"),
        ({"name": "expo"}, "Export"),
    ):
        found = re.findall(r'<th scope="row"><a [^>]*>(\w+)', viewer.get(LIST, query).content.decode())
        assert found == [shown]
    assert "No workflow matches" in viewer.get(LIST, {"name": "nothing"}).content.decode()


def test_the_list_makes_the_same_few_queries_for_any_number(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(10):
        an_order()
    # Session, user, two for permissions, counts by state, the workflows, their steps.
    with django_assert_max_num_queries(7):
        viewer.get(LIST)


def test_the_graph_has_a_link_for_each_step_with_its_state_in_words(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    workflow = an_order()
    answer = viewer.get(page_of(workflow))
    assert_strict(answer.content)
    page = answer.content.decode()
    graph = page.partition('<svg class="jobs-graph"')[2].partition("jobs-legend")[0]
    assert "<title" in graph
    assert "<desc" in graph
    assert 'stroke="currentColor"' in page
    charge = workflow.steps.get(name="charge").batch.members.get()
    close = workflow.steps.get(name="close")
    assert f'<a href="{reverse("admin:jobs_jobrun_change", args=[charge.pk])}"><title>charge: failed</title>' in graph
    assert f'<a href="#jobs-step-{close.pk}"><title>close: waiting</title>' in graph
    for words in ("✕ failed", "■ blocked", "▶ running", "… waiting"):
        assert words in graph
    assert [graph.count(f"jobs-edge-{wanted}") for wanted in ("success", "failure", "end")] == [1, 1, 2]


def test_the_table_says_what_each_step_waits_for_and_masks_results(viewer: Client) -> None:
    workflow = an_order(on_failure={"job": "shop.apologise", "args": ["tok_secret"], "kwargs": {}})
    workflow.steps.filter(name="close").update(
        needs="any", when=[{"of": {"jobs:result_of": "tell", "path": ["total"]}, "compares": "above", "value": 9}]
    )
    page = viewer.get(page_of(workflow)).content.decode()
    assert ">any, if</text>" in page
    assert "“if”: only where its condition holds" in page
    row = page.partition(f'id="jobs-step-{workflow.steps.get(name="close").pk}"')[2].partition("</tr>")[0]
    assert "any of" in row
    assert row.count("(its end)") == 2
    assert "tell[total] above 9" in row
    assert "(its failure)" in page
    assert "[redacted]" in page
    assert "tok_" not in page
    assert "shop.apologise" in page


def test_a_step_of_many_runs_leads_to_its_batch(viewer: Client) -> None:
    workflow = an_order()
    step = workflow.steps.get(name="tell")
    WorkflowStep.objects.filter(pk=step.pk).update(size=40)
    page = viewer.get(page_of(workflow)).content.decode()
    batch = reverse("admin:jobs_batch_change", args=[step.batch_id])
    assert page.count(f'href="{batch}"') == 2
    assert "40 runs" in page
    assert f'of <a href="{page_of(workflow)}">workflow {workflow.pk}' in viewer.get(batch).content.decode()
    # Its list is of batches that somebody made.
    assert batch not in viewer.get(reverse("admin:jobs_batch_changelist")).content.decode()


def test_a_workflow_of_fifty_steps_is_drawn_in_few_queries(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    workflow = a_workflow(
        {
            f"step {n}": (
                "succeeded" if n < 20 else "waiting",
                [[f"step {n - back}", "success"] for back in (1, 3) if n >= back],
            )
            for n in range(50)
        }
    )
    # Session, user, two for permissions, the workflow, its steps, their counts, their runs.
    with django_assert_max_num_queries(8):
        page = viewer.get(page_of(workflow)).content.decode()
    assert page.count("<rect") == 50


def test_a_workflow_of_very_many_steps_is_a_table_in_pages(viewer: Client) -> None:
    workflow = Workflow.objects.create(name="much")
    WorkflowStep.objects.bulk_create(
        WorkflowStep(workflow=workflow, name=f"step {n}", place=n, call={"job": "shop.work"}) for n in range(250)
    )
    page = viewer.get(page_of(workflow)).content.decode()
    assert "jobs-graph" not in page
    assert page.count("<tr id=") == 100
    assert "?from=100#jobs-steps" in page
    last = viewer.get(page_of(workflow), {"from": 200, "state": "waiting"}).content.decode()
    assert last.count("<tr id=") == 50
    assert "?from=" not in last
    assert "No step is in this state" in viewer.get(page_of(workflow), {"state": "failed"}).content.decode()


def test_what_runs_is_asked_for_again_and_what_has_ended_is_not(viewer: Client) -> None:
    for state, refreshed in (("running", True), ("failed", False)):
        workflow = an_order(state=state)
        assert ("data-refresh" in viewer.get(page_of(workflow)).content.decode()) is refreshed


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    workflow = an_order()
    for page in (
        f"{LIST}4711/",
        f"{LIST}{2**70}/",
        f"{page_of(workflow)}explode/",
        f"{page_of(workflow)}step/1/explode/",
    ):
        assert operator.get(page).status_code == 404
    other = act_on(an_order(), "skip", "ship").replace(f"/{Workflow.objects.latest('pk').pk}/", f"/{workflow.pk}/")
    assert operator.get(other).status_code == 404
    assert operator.get(f"{page_of(workflow)}step/{2**70}/skip/").status_code == 404


def test_a_viewer_changes_nothing_and_the_refusals_are_written_down(viewer: Client) -> None:
    workflow = an_order()
    page = viewer.get(page_of(workflow)).content.decode()
    for word in ("Cancel…", "Retry from here", "Skip…"):
        assert word not in page
    before = states(workflow)
    for address in (act_on(workflow, "cancel"), act_on(workflow, "skip", "ship"), act_on(workflow, "retry", "charge")):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, {"reason": "me too"}).status_code == 403
    refused = AuditEntry.objects.order_by("pk").values_list("action", "target", "outcome")
    assert list(refused) == [
        ("cancel workflow", f"workflow {workflow.pk}", "refused"),
        ("skip step", f"workflow {workflow.pk} ship", "refused"),
        ("retry step", f"workflow {workflow.pk} charge", "refused"),
    ]
    assert states(workflow) == before


def test_a_look_changes_nothing(operator: Client) -> None:
    workflow = an_order()
    before = list(Workflow.objects.values()), list(WorkflowStep.objects.values())
    for address in (
        *(LIST, page_of(workflow), act_on(workflow, "cancel"), act_on(workflow, "resume")),
        *(act_on(workflow, "retry", "charge"), act_on(workflow, "skip", "ship")),
    ):
        assert operator.get(address).status_code == 200
    assert (list(Workflow.objects.values()), list(WorkflowStep.objects.values())) == before
    assert not AuditEntry.objects.exists()


def test_an_operator_retries_from_a_step(
    operator: Client, gone_wrong: Workflow, assert_strict: Callable[[bytes], None]
) -> None:
    retry = act_on(gone_wrong, "retry", "charge")
    assert retry in operator.get(page_of(gone_wrong)).content.decode()
    answer = operator.get(retry)
    assert_strict(answer.content)
    assert "These 2 steps come after it: ship, tell" in answer.content.decode()
    assert b"Write down why" in operator.post(retry, {"reason": ""}).content
    answer = operator.post(retry, {"reason": "the bank is back"})
    assert told(answer) == ['"charge" is done anew, and what comes after it follows.']
    drain()
    assert states(gone_wrong) == {"charge": "succeeded", "ship": "succeeded", "tell": "skipped"}
    entry = AuditEntry.objects.get(action="retry step")
    assert (entry.target, entry.reason) == (f"workflow {gone_wrong.pk} charge", "the bank is back")
    assert "the bank is back" in operator.get(page_of(gone_wrong)).content.decode()


def test_an_operator_skips_a_step(operator: Client, gone_wrong: Workflow) -> None:
    skip = act_on(gone_wrong, "skip", "charge")
    assert b"stays undone" in operator.get(skip).content
    answer = operator.post(skip, {"reason": "paid in cash"})
    assert told(answer) == ['"charge" is skipped: those after it go on.']
    drain()
    assert states(gone_wrong)["ship"] == "succeeded"
    again = operator.post(skip, {"reason": "paid in cash"})
    assert "was skipped already" in told(again)[-1]
    assert AuditEntry.objects.filter(action="skip step").count() == 1


def test_an_operator_cancels_and_resumes(operator: Client, make_job: Any, transactional_db: None) -> None:
    job = make_job(lambda: None, name="tests.admin.idle")
    flow = Flow("order")
    flow.step("one", job.prepare())
    flow.step("two", job.prepare(), after="one")
    workflow = flow.start()
    assert b"Write down why" in operator.post(act_on(workflow, "cancel"), {"reason": " "}).content
    answer = operator.post(act_on(workflow, "cancel"), {"reason": "wrong order"})
    assert told(answer) == ["Cancelled: nothing more of it begins, and what runs is being stopped."]
    drain()
    assert states(workflow) == {"one": "cancelled", "two": "cancelled"}
    assert b"cannot be done now" in operator.get(act_on(workflow, "cancel")).content
    assert act_on(workflow, "resume") in operator.get(page_of(workflow)).content.decode()
    assert told(operator.post(act_on(workflow, "resume")))[-1] == "Resumed: it goes on where it was."
    drain()
    assert states(workflow) == {"one": "succeeded", "two": "succeeded"}


def test_the_pages_need_no_redis(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise AssertionError("Redis was asked")

    workflow = an_order()
    monkeypatch.setattr("redis.client.Redis.execute_command", away)
    monkeypatch.setattr("redis.client.Pipeline.execute", away)
    assert operator.get(LIST).status_code == operator.get(page_of(workflow)).status_code == 200


def test_the_runs_of_a_workflow_are_found(viewer: Client) -> None:
    workflow, runs = an_order(), reverse("admin:jobs_jobrun_changelist")
    member, other = workflow.steps.get(name="tell").batch.members.get(), a_run("running")
    for query in (
        {"workflow": workflow.pk},
        {"q": f"workflow:{workflow.pk}"},
        {"workflow": workflow.pk, "state": "running"},
    ):
        page = viewer.get(runs, query).content.decode()
        assert str(member.pk) in page
        assert str(other.pk) not in page
    assert "is no number of a workflow" in viewer.get(runs, {"workflow": "order"}).content.decode()


def test_while_redis_is_away_a_workflow_that_runs_is_not_cancelled(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BrokerUnavailable("away")

    workflow = a_workflow({"ship": ("running", [])})
    monkeypatch.setattr("jobs.workflows.operating.runs.stop", away)
    assert told(operator.post(act_on(workflow, "cancel"), {"reason": "late"})) == ["Nothing was changed. away"]
    workflow.refresh_from_db()
    assert workflow.cancelled_at is None
    assert not AuditEntry.objects.exists()


def test_a_run_says_whose_step_it_is(viewer: Client) -> None:
    workflow = an_order()
    member = workflow.steps.get(name="tell").batch.members.get()
    page = viewer.get(reverse("admin:jobs_jobrun_change", args=[member.pk])).content.decode()
    assert f'step “tell” of <a href="{page_of(workflow)}">workflow {workflow.pk}' in page
    batch = Batch.objects.create(name="May")
    page = viewer.get(reverse("admin:jobs_jobrun_change", args=[a_run(batch=batch).pk])).content.decode()
    assert f'{reverse("admin:jobs_batch_change", args=[batch.pk])}">batch {batch.pk}, May</a>' in page


def test_who_may_see_the_audit_sees_that_of_the_workflow_and_its_steps(operator: Client, viewer: Client) -> None:
    workflow = an_order()
    audit.record(actor="ann", action="skip step", target=f"workflow {workflow.pk} ship", reason="by hand")
    audit.record(actor="ann", action="skip step", target=f"workflow {workflow.pk}1", reason="of another")
    page = operator.get(page_of(workflow)).content.decode()
    assert "by hand" in page
    assert "of another" not in page
    assert "by hand" not in viewer.get(page_of(workflow)).content.decode()
