"""Each way in which a workflow may stall: what was lost begins again, the rest is told, and nothing is doubled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import registry, workflows
from jobs.models import AuditEntry, Batch, BatchSlice, JobRun, Workflow
from jobs.signals import workflow_stalled
from jobs.testing import drain
from jobs.workflows import Flow, chain
from tests.workflows.conftest import states

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard():
    told = []

    def hear(sender, workflow, recovered, **kwargs):
        told.append((sender, workflow.pk, recovered))

    workflow_stalled.connect(hear)
    yield told
    workflow_stalled.disconnect(hear)


def let_pass(workflow, hours=2):
    """As if nothing had moved for so long."""
    Workflow.objects.filter(pk=workflow.pk).update(stalls_at=timezone.now() - timedelta(hours=hours))


def recover(workflow):
    let_pass(workflow)
    found = workflows.recover()
    workflow.refresh_from_db()
    return found


@pytest.mark.django_db(transaction=True)
def test_a_step_whose_run_is_lost_begins_again(work, heard):
    workflow = chain(work("a"), work("b"), name="order").start()
    JobRun.objects.all().delete()
    assert recover(workflow) == 1
    assert (workflow.stalls, workflow.stalled_at, workflow.trouble) == (1, None, "")
    assert heard == [("order", workflow.pk, ["work"])]
    told = AuditEntry.objects.get(action="recover workflow")
    assert (told.actor, told.after) == ("workflow monitor", {"begun again": ["work"], "stalls": 1})
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, workflow.steps.get(place=0).rounds) == ("succeeded", 2)


def test_a_step_whose_batch_is_lost_begins_again(work):
    workflow = chain(work("a"), work("b")).start()
    JobRun.objects.all().delete()
    Batch.objects.all().delete()
    assert recover(workflow) == 1
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "b"])


def test_runs_that_old_code_recorded_are_counted_and_not_done_again(work):
    workflow = chain(work("a"), work("b")).start()
    drain()
    # As a release left it that knows no batches.
    Workflow.objects.update(state="running", ended_at=None)
    workflow.steps.filter(place=1).update(state="running", ended_at=None)
    Batch.objects.filter(step__place=1).update(succeeded=0, state="running", ended_at=None)
    assert recover(workflow) == 1
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "b"])


def test_what_nobody_looked_at_is_looked_at(work):
    workflow = chain(work("a"), work("b")).start()
    run = JobRun.objects.get()
    # As if the marks of its end had been lost.
    JobRun.objects.filter(pk=run.pk).update(state="succeeded", ended_at=timezone.now(), pushed_at=timezone.now())
    BatchSlice.objects.update(folded=True)
    Batch.objects.update(succeeded=1, total=1, ripe=False)
    Workflow.objects.update(ripe_at=None)
    assert recover(workflow) == 1
    workflows.follow()
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls.count("b")) == ("succeeded", 1)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_waits_for_too_long_is_told_and_not_doubled(work, heard, caplog):
    tell = registry.get("tests.workflows.work").prepare("stalled")
    flow = Flow("order", on_stall=tell, stalls_after=timedelta(minutes=10))
    flow.step("a", work("a"))
    workflow = flow.start()
    assert recover(workflow) == 1
    assert JobRun.objects.filter(batch__isnull=False).count() == 1
    assert "has been queued in default since" in workflow.trouble
    assert workflow.stalled_at is not None
    assert list(workflows.stalled()) == [workflow]
    assert f"{workflow} has stalled" in caplog.text
    assert heard == [("order", workflow.pk, [])]
    # It is told again when it has stalled for that long again, and not before.
    assert workflows.recover() == 0
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, workflow.stalled_at, workflow.trouble) == ("succeeded", None, "")
    assert sorted(work.calls) == ["a", "stalled"]
    assert not workflows.stalled()


@pytest.mark.parametrize("facts", [{"state": "running"}, {"state": "scheduled", "due_at": timedelta(days=3)}])
def test_a_run_that_is_alive_or_due_later_is_waited_for(work, facts):
    workflow = chain(work("a")).start()
    due = facts.pop("due_at", None)
    JobRun.objects.update(**facts, due_at=due and timezone.now() + due)
    assert recover(workflow) == 0
    assert (workflow.stalls, workflow.trouble) == (0, "")
    assert workflow.stalls_at > timezone.now() + (due or timedelta())
    assert JobRun.objects.count() == 1


def test_a_step_whose_job_nobody_knows_begins_when_somebody_does(work, make_job, monkeypatch):
    gone = make_job(work.job.function, name="tests.workflows.gone")
    workflow = chain(work("a"), gone.prepare("late")).start()
    monkeypatch.delitem(registry._jobs, "tests.workflows.gone")
    drain()
    workflow.refresh_from_db()
    assert '"gone" cannot begin: No job is named "tests.workflows.gone"' in workflow.trouble
    assert workflow.steps.get(name="gone").why == workflow.trouble
    assert workflow.ripe_at is not None
    assert recover(workflow) == 1
    assert workflow.stalled_at is not None
    monkeypatch.undo()
    workflows.resume(workflow, actor="test")
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, workflow.trouble, work.calls) == ("succeeded", "", ["a", "late"])


def test_what_is_in_trouble_holds_up_no_other(work):
    sick = chain(work("x")).start()
    well = chain(work("a"), work("b")).start()
    sick.steps.update(call={"job": "tests.workflows.gone2"}, state="waiting", rounds=0, batch=None)
    Workflow.objects.update(ripe_at=timezone.now())
    drain()
    well.refresh_from_db()
    sick.refresh_from_db()
    assert (well.state, sick.state, "No job is named" in sick.trouble) == ("succeeded", "running", True)


def test_a_dead_step_without_a_way_out_ends_the_workflow(work):
    work.will["a"] = "fail"
    flow = Flow("order", on_failure=work("told"), on_success=work("never"), on_complete=work("over"))
    flow.step("a", work("a"))
    flow.step("b", work("b"), after="a")
    workflow = flow.start()
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, states(workflow)) == ("failed", {"a": "failed", "b": "blocked"})
    assert work.calls == ["a", "over", "told"]
    assert recover(workflow) == 0


def test_a_step_that_is_lost_while_others_live_begins_again_alone(work):
    flow = Flow("two")
    flow.step("a", work("a"))
    flow.step("b", work("b"))
    workflow = flow.start()
    JobRun.objects.filter(batch=workflow.steps.get(name="a").batch_id).delete()
    assert recover(workflow) == 1
    drain()
    assert sorted(work.calls) == ["a", "b"]


def test_a_run_that_is_under_way_is_not_doubled_though_its_row_is_gone(work):
    workflow = chain(work("a"), work("b")).start()

    def meanwhile():
        JobRun.objects.all().delete()
        assert recover(workflow) == 1
        assert '"work" runs, and its row is gone' in workflow.trouble
        assert workflow.steps.get(place=0).rounds == 1

    work.will["a"] = meanwhile
    drain()
    assert work.calls == ["a"]
    # It has ended, and nobody knows how: so it is done again.
    del work.will["a"]
    recover(workflow)
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "a", "b"])


def test_a_run_that_waits_is_not_doubled_though_its_batch_is_gone(work):
    workflow = chain(work("a"), work("b")).start()
    Batch.objects.all().delete()
    assert recover(workflow) == 1
    assert '"work" runs, and its batch is gone' in workflow.trouble
    assert JobRun.objects.count() == 1
    drain()
    # It has ended by now, and was not counted.
    recover(workflow)
    drain()
    workflow.refresh_from_db()
    assert (workflow.state, work.calls) == ("succeeded", ["a", "a", "b"])


def test_old_workflows_go_with_their_steps_and_batches(work):
    old, fresh, running = (chain(work("a")).start() for _ in range(3))
    long_ago = timezone.now() - timedelta(days=91)
    Workflow.objects.filter(pk=old.pk).update(state="succeeded", ended_at=long_ago)
    Workflow.objects.filter(pk=fresh.pk).update(state="succeeded", ended_at=timezone.now())
    Workflow.objects.filter(pk=running.pk).update(created_at=long_ago)
    assert workflows.is_anything_prunable()
    assert workflows.prune() == 1
    assert list(Workflow.objects.order_by("pk")) == [fresh, running]
    assert Batch.objects.count() == 2
    assert not workflows.is_anything_prunable()
