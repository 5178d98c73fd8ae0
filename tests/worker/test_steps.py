"""A step that a run has done is not done again by it, whatever ended the attempt before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from jobs import RetryPolicy, current_run, dead, fixed, steps
from jobs.broker.connection import client
from jobs.broker.settle import settle
from jobs.errors import ArgumentsNotJSON, BadOptions, HandBackJob, JobsError, StepNotKept
from jobs.models import AuditEntry, DeadJob, JobRun, JobStep
from jobs.models.pruning import delete_in_chunks
from jobs.registry import Job
from jobs.steps import StoredSteps
from jobs.testing import drain, inline
from jobs.worker import lifecycle
from tests.engine import WORKER, a_run, claim, work_off

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = RetryPolicy(attempts=3, backoff=fixed(0))


class Trip:
    """A job of two steps, and what happens after the first."""

    def __init__(self, make_job: Callable[..., Job[..., Any]], **options: Any) -> None:
        self.calls: list[str] = []
        self.given: list[Any] = []
        self.result: Any = {"id": 7}
        self.atomic = False
        self.between: Callable[[], object] = lambda: None

        def book(name: str) -> Any:
            self.calls.append(name)
            return self.result

        def travel() -> None:
            run = current_run()
            self.given.append(run.step("flight", lambda: book("flight"), atomic=self.atomic))
            between, self.between = self.between, lambda: None
            between()
            self.given.append(run.step("hotel", lambda: book("hotel"), atomic=self.atomic))

        self.job = make_job(travel, **({"retry": AT_ONCE} | options))


@pytest.fixture
def trip(make_job: Callable[..., Job[..., Any]]) -> Trip:
    return Trip(make_job)


def fail() -> None:
    raise RuntimeError("no bus to the hotel")


def hand_back() -> None:
    raise HandBackJob


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("end", [fail, hand_back])
def test_a_step_that_was_done_is_not_done_again(trip: Trip, end: Callable[[], None], atomic: bool) -> None:
    trip.between, trip.atomic = end, atomic
    run = trip.job.enqueue()
    drain(due=True)
    assert trip.calls == ["flight", "hotel"]
    assert trip.given == [{"id": 7}] * 3
    assert run.state == "succeeded"


@pytest.mark.parametrize("atomic", [False, True])
def test_a_killed_process_repeats_no_step_that_was_kept(trip: Trip, atomic: bool) -> None:
    def die() -> None:
        raise GeneratorExit

    trip.between, trip.atomic = die, atomic
    run = trip.job.enqueue()
    claimed = claim()[0]
    lifecycle.outcome_of(claimed, worker=WORKER.name)
    settle(WORKER, [lifecycle.conclude(claimed, lifecycle.Interrupted(), worker=WORKER.name, run_ms=0)])
    work_off()
    assert trip.calls == ["flight", "hotel"]
    assert run.state == "succeeded"


def test_a_dead_run_that_is_requeued_goes_on_behind_its_steps(trip: Trip) -> None:
    trip.between = fail
    run = trip.job.using(attempts=1).enqueue()
    work_off()
    assert run.state == "dead"
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert trip.calls == ["flight", "hotel"]
    assert run.state == "succeeded"


def test_steps_are_known_after_redis_lost_its_data(trip: Trip) -> None:
    trip.between = lambda: client().flushall()
    trip.job.enqueue()
    lifecycle.attempt(claim()[0], worker=WORKER.name)
    assert trip.calls == ["flight", "hotel"]
    assert set(JobStep.objects.values_list("name", flat=True)) == {"flight", "hotel"}


def test_another_run_does_its_own_steps(trip: Trip) -> None:
    trip.job.enqueue()
    trip.job.enqueue()
    work_off()
    assert trip.calls == ["flight", "hotel"] * 2


def test_a_step_that_raises_is_done_by_the_next_attempt(make_job: Callable[..., Job[..., Any]]) -> None:
    answers: list[Callable[[], Any]] = [lambda: 1 / 0, lambda: "there"]
    tried = make_job(lambda: current_run().step("go", lambda: answers.pop(0)()), retry=AT_ONCE)
    run = tried.enqueue()
    drain(due=True)
    assert (run.result, run.row().attempts) == ("there", 2)


def test_a_step_that_raised_may_be_tried_again_in_the_same_attempt(make_job: Callable[..., Job[..., Any]]) -> None:
    answers: list[Callable[[], Any]] = [lambda: 1 / 0, lambda: "there"]

    def patient() -> Any:
        with pytest.raises(ZeroDivisionError):
            current_run().step("go", lambda: answers.pop(0)())
        return current_run().step("go", lambda: answers.pop(0)())

    run = make_job(patient).enqueue()
    work_off()
    assert run.result == "there"


def test_what_the_row_says_of_a_step(trip: Trip) -> None:
    run = trip.job.enqueue()
    work_off()
    first = JobStep.objects.get(name="flight")
    assert (first.run_id, first.result, first.problem, first.attempt) == (run.id, {"id": 7}, "", 1)
    assert str(first) == f"flight of {run.id}"


def test_an_atomic_step_and_its_row_commit_together_or_not_at_all(make_job: Callable[..., Job[..., Any]]) -> None:
    seen: list[bool] = []
    fails = [True, False]

    def write() -> str:
        seen.append(transaction.get_connection().in_atomic_block)
        made = a_run("scheduled", name="tests.written")
        if fails.pop(0):
            raise RuntimeError("after the write")
        return str(made.pk)

    run = make_job(lambda: current_run().step("write", write, atomic=True), retry=AT_ONCE).enqueue()
    drain(due=True)
    assert seen == [True, True]
    assert [str(pk) for pk in JobRun.objects.filter(name="tests.written").values_list("pk", flat=True)] == [run.result]


def test_an_atomic_step_whose_result_cannot_be_kept_changes_nothing(make_job: Callable[..., Job[..., Any]]) -> None:
    def write() -> set[int]:
        a_run("scheduled", name="tests.written")
        return {1}

    make_job(lambda: current_run().step("write", write, atomic=True), retry=1).enqueue()
    (settlement,) = work_off()
    assert settlement.entry["error_class"].endswith(ArgumentsNotJSON.__name__)
    assert 'step "write": result is a set' in settlement.entry["error_message"]
    assert not JobRun.objects.filter(name="tests.written").exists()
    assert not JobStep.objects.exists()


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({1, 2}, "is a set"),
        ("x" * 20_000, "20,002 bytes and the limit is"),
        (float("nan"), "result is"),
        ({"text": "a\x00b"}, "NUL"),
        (["\ud800"], "result"),
    ],
    ids=["set", "long", "nan", "nul", "half"],
)
def test_a_step_whose_result_cannot_be_kept_is_not_done_again_and_wants_a_person(
    trip: Trip, result: object, why: str
) -> None:
    trip.result = result
    run = trip.job.enqueue()
    (settlement,) = work_off()
    assert settlement.entry["error_class"].endswith(StepNotKept.__name__)
    assert why in settlement.entry["error_message"]
    assert run.state == "dead"

    trip.result = "there"
    steps.remember(run.row(), "flight", {"id": 8}, actor="ann", reason="looked it up")
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert trip.calls == ["flight", "hotel"]
    assert trip.given == [{"id": 8}, "there"]
    assert AuditEntry.objects.filter(action="remember step", target=str(run.id)).count() == 1


def test_a_step_that_was_forgotten_is_done_again(trip: Trip) -> None:
    trip.between = fail
    run = trip.job.enqueue()
    work_off()
    assert steps.forget(run.row(), "flight", actor="ann")
    assert not steps.forget(run.row(), "flight", actor="ann")
    drain(due=True)
    assert trip.calls == ["flight", "flight", "hotel"]
    assert AuditEntry.objects.filter(action="forget step").count() == 1


def test_two_attempts_at_once_are_given_what_the_first_kept(trip: Trip) -> None:
    """The other one was thought to be gone, and goes on."""
    run = trip.job.enqueue()
    trip.between = lambda: JobStep.objects.create(
        run_id=run.id, name="hotel", result="theirs", attempt=1, run_ms=1, done_at=run.row().created_at
    )
    work_off()
    assert trip.given == [{"id": 7}, "theirs"]


def test_who_comes_second_with_a_step_is_given_the_first_result(make_job: Callable[..., Job[..., Any]]) -> None:
    def race() -> Any:
        run = current_run()

        def meanwhile() -> str:
            JobStep.objects.create(
                run_id=run.id, name="go", result="theirs", attempt=1, run_ms=1, done_at=JobRun.objects.get().created_at
            )
            return "mine"

        return run.step("go", meanwhile)

    run = make_job(race).enqueue()
    work_off()
    assert run.result == "theirs"


def test_of_two_attempts_that_come_to_an_atomic_step_at_once_one_does_it(
    make_job: Callable[..., Job[..., Any]],
) -> None:
    begun, calls, given = threading.Event(), [], []

    def write() -> str:
        calls.append(begun.set())
        # The other one has come to the row by then, or comes to it later: it may not do it either way.
        time.sleep(0.2)
        return "done"

    make_job(lambda: None).enqueue()
    (claimed,) = claim()

    def attempt(*, wait: bool) -> None:
        if wait:
            begun.wait(10)
        given.append(StoredSteps(claimed).take("write", write, atomic=True))
        connections.close_all()

    threads = [threading.Thread(target=attempt, kwargs={"wait": wait}) for wait in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(calls), given) == (1, ["done", "done"])


def refused(job: Job[..., Any]) -> str:
    """Why the job's one attempt failed."""
    job.enqueue()
    (settlement,) = work_off()
    return f"{settlement.entry['error_class']}: {settlement.entry['error_message']}"


def test_a_second_step_of_one_name_is_refused_before_it_is_done(make_job: Callable[..., Job[..., Any]]) -> None:
    done: list[int] = []

    def twice() -> None:
        for number in (1, 2):
            current_run().step("send", lambda number=number: done.append(number))

    error = refused(make_job(twice, retry=1))
    assert BadOptions.__name__ in error
    assert 'f"send-{number}"' in error
    assert done == [1]


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", 7])
def test_a_name_that_cannot_be_is_refused_before_it_is_done(make_job: Callable[..., Job[..., Any]], name: Any) -> None:
    done: list[int] = []
    assert "1 to 100" in refused(make_job(lambda: current_run().step(name, lambda: done.append(1)), retry=1))
    assert done == []


def test_a_step_inside_a_transaction_is_refused_before_it_is_done(make_job: Callable[..., Job[..., Any]]) -> None:
    done: list[int] = []

    def wrapped() -> None:
        with transaction.atomic():
            current_run().step("go", lambda: done.append(1))

    assert JobsError.__name__ in refused(make_job(wrapped, retry=1))
    assert done == []


def test_an_atomic_step_may_be_inside_a_transaction(make_job: Callable[..., Job[..., Any]]) -> None:
    def wrapped() -> Any:
        with transaction.atomic():
            return current_run().step("go", lambda: "done", atomic=True)

    run = make_job(wrapped).enqueue()
    work_off()
    assert run.result == "done"


def test_a_job_without_a_row_is_refused_before_it_is_done(trip: Trip, make_job: Callable[..., Job[..., Any]]) -> None:
    rowless = Trip(make_job, durable=False, retry=2)
    rowless.job.enqueue()
    drain(due=True)
    assert rowless.calls == []
    assert "durable=False" in JobRun.objects.get().error_message


def test_a_step_that_gives_a_coroutine_says_what_to_do(make_job: Callable[..., Job[..., Any]]) -> None:
    async def later() -> None: ...

    assert "async_to_sync" in refused(make_job(lambda: current_run().step("go", later), retry=1))


def test_an_async_job_takes_steps_in_a_thread(make_job: Callable[..., Job[..., Any]]) -> None:
    async def travel() -> Any:
        return await sync_to_async(current_run().step)("go", lambda: "there")

    run = make_job(travel).enqueue()
    work_off()
    assert run.result == "there"


def test_steps_go_with_their_run(trip: Trip) -> None:
    trip.job.enqueue()
    work_off()
    delete_in_chunks(JobRun.objects.all())
    assert not JobStep.objects.exists()


@pytest.mark.parametrize("atomic", [False, True])
def test_inline_each_step_is_done_and_nothing_kept(trip: Trip, atomic: bool) -> None:
    trip.atomic = atomic
    trip.result = (1, 2)
    with inline():
        trip.job.enqueue()
        trip.job.enqueue()
    assert trip.calls == ["flight", "hotel"] * 2
    assert trip.given[0] == [1, 2]
    assert not JobStep.objects.exists()
