"""What plain RQ deferred until another job's end is enqueued once that comes, and once only."""

from __future__ import annotations

from typing import Any

import pytest
from rq import Queue, RateLimit
from rq.job import Dependency, JobStatus
from rq.registry import DeferredJobRegistry

from jobs import dead
from jobs.broker import lua
from jobs.broker.connection import client
from jobs.broker.foreign_ending import release_waiting
from jobs.broker.settle import settle
from jobs.models import DeadJob, JobRun
from jobs.worker import lifecycle
from tests.engine import OTHER, WORKER, claim, places, work_off
from tests.foreign import tasks
from tests.sample import jobs as sample

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("allowed")]


def test_a_dependent_runs_after_what_it_waits_for(queue: Queue, called: list[Any]) -> None:
    first = queue.enqueue(tasks.add, 1, 1)
    second = queue.enqueue(tasks.add, 2, 2, depends_on=first)
    third = queue.enqueue(tasks.add, 3, 3, depends_on=second)
    assert second.get_status() == JobStatus.DEFERRED
    work_off()
    assert [one[1] for one in called] == [1, 2, 3]
    assert third.get_status() == JobStatus.FINISHED
    assert DeferredJobRegistry(queue=queue).get_job_ids() == []


def test_one_that_waits_for_two_waits_for_both(queue: Queue, called: list[Any]) -> None:
    left, right = queue.enqueue(tasks.add, 1, 1), queue.enqueue(tasks.add, 2, 2)
    last = queue.enqueue(tasks.add, 3, 3, depends_on=[left, right])
    settle(WORKER, [lifecycle.attempt(claim()[0], worker=WORKER.name)])
    assert last.get_status() == JobStatus.DEFERRED
    work_off()
    assert [one[1] for one in called] == [1, 2, 3]


def test_a_failed_parent_keeps_it_waiting_until_it_succeeds(queue: Queue, called: list[Any]) -> None:
    parent = queue.enqueue(tasks.fail_once)
    waits = queue.enqueue(tasks.add, 1, 1, depends_on=parent)
    work_off()
    assert release_waiting(["default"]) == 0
    assert waits.get_status() == JobStatus.DEFERRED
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert waits.get_status() == JobStatus.FINISHED


def test_a_failed_parent_may_be_allowed(queue: Queue) -> None:
    parent = queue.enqueue(tasks.fail)
    waits = queue.enqueue(tasks.add, 1, 1, depends_on=Dependency(parent, allow_failure=True))
    work_off()
    assert waits.get_status() == JobStatus.FINISHED


def test_a_result_that_is_not_kept_lets_dependents_run(queue: Queue, called: list[Any]) -> None:
    parent = queue.enqueue(tasks.add, 1, 1, result_ttl=0)
    queue.enqueue(tasks.add, 2, 2, depends_on=parent)
    work_off()
    assert [one[1] for one in called] == [1, 2]
    assert client().exists(f"rq:job:{parent.id}:dependents") == 0


def test_one_is_enqueued_at_the_front_if_it_says_so(queue: Queue, called: list[Any]) -> None:
    parent = queue.enqueue(tasks.add, 1, 1)
    queue.enqueue(tasks.add, 2, 2)
    queue.enqueue(tasks.add, 3, 3, depends_on=Dependency(parent, enqueue_at_front=True))
    work_off()
    assert [one[1] for one in called] == [1, 3, 2]


def test_a_worker_that_dies_after_the_settle_leaves_them_to_any_supervisor(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = queue.enqueue(tasks.add, 1, 1)
    waits = queue.enqueue(tasks.add, 2, 2, depends_on=parent)
    with monkeypatch.context() as death:
        run_all = lua.run_all
        death.setattr(lua, "run_all", lambda calls: run_all(calls[:1]))
        settle(WORKER, [lifecycle.attempt(claim()[0], worker=WORKER.name)])
    assert waits.get_status() == JobStatus.DEFERRED
    assert (release_waiting([]), release_waiting([])) == (1, 0)
    assert places(waits.id) == ["queued:default"]


def test_a_settle_that_is_refused_enqueues_nothing(queue: Queue) -> None:
    parent = queue.enqueue(tasks.add, 1, 1)
    waits = queue.enqueue(tasks.add, 2, 2, depends_on=parent)
    (taken,) = claim()
    ended = lifecycle.attempt(taken, worker=WORKER.name)
    assert settle(OTHER, [ended]) == [False]
    assert waits.get_status() == JobStatus.DEFERRED
    assert settle(WORKER, [ended]) == [True]
    assert settle(WORKER, [ended]) == [False]
    assert places(waits.id) == ["queued:default"]


def test_settles_of_both_kinds_are_answered_in_order(queue: Queue) -> None:
    queue.enqueue(tasks.add, 1, 1)
    sample.add.enqueue(1, 2)
    queue.enqueue(tasks.add, 2, 2)
    ended = [lifecycle.attempt(one, worker=WORKER.name) for one in claim(3)]
    settle(WORKER, ended[:1])
    assert settle(WORKER, ended) == [False, True, True]


def test_a_cancelled_dependent_stays_cancelled(queue: Queue) -> None:
    parent = queue.enqueue(tasks.add, 1, 1)
    waits = queue.enqueue(tasks.add, 2, 2, depends_on=parent)
    waits.cancel()
    work_off()
    assert release_waiting(["default"]) == 0
    assert waits.get_status() == JobStatus.CANCELED


def test_what_waits_for_a_run_of_ours_is_enqueued_after_it(queue: Queue) -> None:
    run = sample.add.enqueue(1, 2)
    parent = queue.job_class.fetch(str(run.id), connection=client())
    waits = queue.enqueue(tasks.add, 2, 2, depends_on=parent)
    work_off()
    assert release_waiting(["default"]) == 1
    work_off()
    assert waits.get_status() == JobStatus.FINISHED
    assert JobRun.objects.filter(state="succeeded").count() == 2


def test_a_slot_of_rqs_rate_limit_is_given_on(queue: Queue, called: list[Any]) -> None:
    for number in range(3):
        queue.enqueue(tasks.add, number, 0, rate_limit=RateLimit("partner", 1))
    for _ in range(3):
        work_off()
        release_waiting(["default"])
    # RQ orders them by whole seconds.
    assert sorted(one[1] for one in called) == [0, 1, 2]
