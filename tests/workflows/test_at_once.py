"""Several do the same at once: a step begins once, and of two verbs the second is refused."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import consequences, recorder, runs, workflows
from jobs.errors import JobsError, NotCancellable, NotRetryable
from jobs.models import Batch, JobRun, RunState, Workflow
from jobs.testing import drain
from jobs.workflows import Flow, chain
from tests.at_once import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ADA = {"actor": "ada", "reason": "test"}


def test_a_key_is_one_workflow_also_for_those_who_start_it_at_once(work):
    started = at_once(lambda _: chain(work("a"), work("b"), key="order-1").start(), range(4))
    assert sorted(one.created for one in started) == [False, False, False, True]
    assert len({one.pk for one in started}) == Workflow.objects.count() == JobRun.objects.count() == 1


def test_a_step_begins_once_however_many_look(work):
    flow = Flow("order")
    flow.step("a", work("a"))
    for number in range(5):
        flow.step(f"b{number}", work.job.using(queue="low").prepare(f"b{number}"), after="a")
    flow.start()
    drain(queues=["default"])
    Workflow.objects.update(ripe_at="2026-01-01T00:00:00Z")
    at_once(lambda _: consequences.follow(), range(4))
    assert JobRun.objects.filter(queue="low").count() == 5


def test_of_verbs_at_once_one_is_done_and_the_others_are_refused(work):
    work.will["a"] = "fail"
    workflow = chain(work("a"), work("b")).start()
    drain()
    answers = at_once(lambda _: workflows.retry_from(workflow, "work", **ADA), range(3), refusals=NotRetryable)
    assert sum(answer is None for answer in answers) == 1
    assert JobRun.objects.filter(state="queued").count() == 1
    answers = at_once(lambda _: workflows.cancel(workflow, **ADA), range(3), refusals=NotCancellable)
    assert sum(answer is None for answer in answers) == 1


def test_whoever_records_and_whoever_acts_do_not_wait_in_a_circle(work):
    work.will["b"] = "fail"
    there = [chain(work("a"), work("b"), work("c")).start() for _ in range(4)]
    drain()

    def act(turn):
        if turn % 2:
            recorder.catch_up()
            return consequences.follow()
        for workflow in there:
            verb = workflows.retry_from if turn % 4 else workflows.skip
            verb(workflow, "work-2", **ADA)
        return None

    at_once(act, range(6), refusals=JobsError)
    work.will.clear()
    drain()
    assert set(Workflow.objects.values_list("state", flat=True)) == {"succeeded"}
    assert work.calls.count("c") == len(there)


def test_whoever_cancels_and_whoever_records_one_of_many_do_not_wait_in_a_circle(work):
    flow = Flow("many")
    flow.step("each", work.job, each=list(range(5)))
    workflow = flow.start()
    batch = Batch.objects.get()
    is_held = threading.Event()

    def act(records):
        if not records:
            is_held.wait(10)
            return workflows.cancel(workflow, **ADA)
        with transaction.atomic():
            row = runs.lock([JobRun.objects.order_by("pk")[3].pk])[0]
            is_held.set()
            # Long enough for who cancels to come to this run.
            time.sleep(0.3)
            runs.transition(row, RunState.SUCCEEDED, at=timezone.now())
            runs.save_all([row])
        return None

    assert at_once(act, [True, False]) == [None, None]
    batch.refresh_from_db()
    assert (batch.succeeded, batch.cancelled) == (1, 4)
