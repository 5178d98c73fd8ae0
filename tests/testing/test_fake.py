"""`fake()` keeps everything in the test: these have no database, and pytest-django would refuse one."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from unittest.mock import ANY

import pytest
from django.db import transaction

from jobs import AlreadyPending
from jobs.broker.inspect import anything_queued
from jobs.conf import queue_names
from jobs.errors import ArgumentsNotJSON, BadArguments, BadOptions, UnknownJob, UnknownQueue
from jobs.models import JobRun
from jobs.testing import FakeJobs, fake
from orders.models import Order
from tests.sample.jobs import add, once, urgent
from tests.testing.chores import latest, note, refused

TOMORROW = datetime.now(UTC) + timedelta(days=1)


def failure(question, *args, **options) -> str:
    with pytest.raises(AssertionError) as caught:
        question(*args, **options)
    return str(caught.value)


def test_nothing_reaches_redis_or_the_database(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    assert not anything_queued(queue_names())
    assert repr(jobs_fake.enqueued) == "[sample.add(left=1, right=2) on default]".replace("sample", "tests.sample")


def test_arguments_are_refused_as_in_production(jobs_fake: FakeJobs) -> None:
    with pytest.raises(BadArguments):
        add.enqueue(1)
    with pytest.raises(ArgumentsNotJSON, match=r"pass left\.pk"):
        add.enqueue(Order(), 2)
    with pytest.raises(UnknownQueue):
        add.using(queue="defualt").enqueue(1, 2)
    assert jobs_fake.enqueued == []


def test_every_way_to_enqueue_is_recorded(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    add.enqueue_in(60, 3, 4)
    add.enqueue_at(TOMORROW, 5, 6)
    add.enqueue_many([(7, 8), {"left": 9, "right": 10}])
    add.using(queue="low", attempts=3).enqueue(11, 12)
    assert [one.arguments["left"] for one in jobs_fake.enqueued] == [1, 3, 5, 7, 9, 11]
    assert [one.due_at is not None for one in jobs_fake.enqueued] == [False, True, True, False, False, False]
    assert (jobs_fake.enqueued[-1].queue, jobs_fake.enqueued[-1].attempts) == ("low", 3)


def test_a_job_is_enqueued_whatever_its_arguments(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    assert jobs_fake.assert_enqueued(add) is jobs_fake.enqueued[0]
    jobs_fake.assert_enqueued("tests.sample.add")


def test_positional_and_named_arguments_are_the_same(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, right=2)
    jobs_fake.assert_enqueued(add, left=1, right=2)


def test_a_default_that_is_spelt_out_is_the_same(jobs_fake: FakeJobs) -> None:
    note.enqueue("x")
    jobs_fake.assert_enqueued(note, "x", again=False)


def test_tuples_are_lists_as_after_json(jobs_fake: FakeJobs) -> None:
    add.enqueue((1, 2), {"a": (3,)})
    assert jobs_fake.enqueued[0].arguments == {"left": [1, 2], "right": {"a": [3]}}
    jobs_fake.assert_enqueued(add, (1, 2), {"a": (3,)})


def test_any_stands_for_any_argument(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, [2, 3])
    jobs_fake.assert_enqueued(add, ANY, [ANY, 3])
    jobs_fake.assert_not_enqueued(add, ANY, [ANY, 4])


def test_an_expectation_that_no_run_can_meet_is_refused(jobs_fake: FakeJobs) -> None:
    with pytest.raises(ArgumentsNotJSON, match=r"pass left\.pk"):
        jobs_fake.assert_not_enqueued(add, Order(), 2)
    with pytest.raises(BadArguments):
        jobs_fake.assert_not_enqueued(add, 1)
    with pytest.raises(UnknownJob, match=r"tests\.sample\.add"):
        jobs_fake.assert_not_enqueued("tests.sample.ad")
    with pytest.raises(BadOptions, match="not a job"):
        jobs_fake.assert_not_enqueued(len)  # type: ignore[arg-type]
    with pytest.raises(BadOptions, match="within="):
        jobs_fake.assert_not_enqueued(add, within=1)
    with pytest.raises(BadOptions, match="assert_not_enqueued"):
        jobs_fake.assert_enqueued(add, times=0)


def test_a_failure_names_the_nearest_and_lists_all(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 1)
    urgent.enqueue(7)
    add.using(queue="low").enqueue(17, 3)
    assert failure(jobs_fake.assert_enqueued, add, 17, 2, queue="low").splitlines() == [
        "tests.sample.add(left=17, right=2) on low was not enqueued.",
        "The nearest was tests.sample.add(left=17, right=3) on low: right is 3, not 2.",
        "Enqueued were:",
        "  1. tests.sample.add(left=1, right=1) on default",
        "  2. tests.sample.urgent(number=7) on critical",
        "  3. tests.sample.add(left=17, right=3) on low",
    ]


def test_a_failure_says_when_nothing_was_enqueued(jobs_fake: FakeJobs) -> None:
    assert failure(jobs_fake.assert_enqueued, add) == "tests.sample.add(…) was not enqueued.\nNothing was enqueued."


def test_another_queue_is_another_run(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    jobs_fake.assert_enqueued(add, 1, 2, queue="default")
    assert "it is on default, not low" in failure(jobs_fake.assert_enqueued, add, 1, 2, queue="low")


def test_a_delay_is_counted_from_the_asking(jobs_fake: FakeJobs) -> None:
    add.enqueue_in(timedelta(minutes=5), 1, 2)
    jobs_fake.assert_enqueued(add, at=300)
    jobs_fake.assert_enqueued(add, at=timedelta(minutes=5, seconds=2), within=3)
    assert "it is due in 300 s, not in 60 s" in failure(jobs_fake.assert_enqueued, add, at=60)
    assert "it is due in 300 s, not at once" in failure(jobs_fake.assert_enqueued, add, at=0)


def test_a_time_may_be_off_by_within(jobs_fake: FakeJobs) -> None:
    add.enqueue_at(TOMORROW, 1, 2)
    jobs_fake.assert_enqueued(add, at=TOMORROW)
    jobs_fake.assert_enqueued(add, at=TOMORROW + timedelta(seconds=9), within=timedelta(seconds=10))
    assert "it is due at" in failure(jobs_fake.assert_enqueued, add, at=TOMORROW + timedelta(seconds=9))


def test_times_means_exactly_so_many(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    add.enqueue(1, 2)
    jobs_fake.assert_enqueued(add, 1, 2, times=2)
    assert "was enqueued 2 times, not 1." in failure(jobs_fake.assert_enqueued, add, times=1)


def test_what_was_enqueued_is_not_not_enqueued(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    jobs_fake.assert_not_enqueued(add, 1, 3)
    jobs_fake.assert_not_enqueued(add, queue="low")
    jobs_fake.assert_not_enqueued(urgent)
    assert failure(jobs_fake.assert_not_enqueued, add).splitlines() == [
        "tests.sample.add(…) was enqueued.",
        "Enqueued were:",
        "  1. tests.sample.add(left=1, right=2) on default",
    ]


def test_clear_forgets_what_came_before(jobs_fake: FakeJobs) -> None:
    add.enqueue(1, 2)
    jobs_fake.clear()
    jobs_fake.assert_not_enqueued(add)


def test_an_equal_run_of_a_unique_job_is_recorded_once(jobs_fake: FakeJobs) -> None:
    first, second = once.enqueue("a"), once.enqueue("a")
    assert (first.created, second.created, second.id) == (True, False, first.id)
    jobs_fake.assert_enqueued(once, "a", times=1)


def test_an_equal_run_is_replaced_or_refused_as_the_job_chose(jobs_fake: FakeJobs) -> None:
    latest.enqueue("a", "old")
    assert latest.enqueue("a", "new").created
    jobs_fake.assert_not_enqueued(latest, "a", "old")
    refused.enqueue("a")
    with pytest.raises(AlreadyPending):
        refused.enqueue("a")
    jobs_fake.assert_enqueued(refused, "a", times=1)


@pytest.mark.django_db
def test_a_run_is_recorded_when_asked_for_also_in_a_rollback(jobs_fake: FakeJobs) -> None:
    with transaction.atomic():
        run = add.enqueue(1, 2)
        transaction.set_rollback(True)
    assert jobs_fake.assert_enqueued(add).id == run.id
    with pytest.raises(JobRun.DoesNotExist):
        run.row()


@pytest.mark.django_db
def test_after_the_block_production_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), fake():
        raise ZeroDivisionError
    run = add.enqueue(1, 2)
    assert run.row().name == "tests.sample.add"


def test_a_block_inside_a_block_has_its_own_record(jobs_fake: FakeJobs) -> None:
    with fake() as inner:
        add.enqueue(1, 2)
    inner.assert_enqueued(add)
    jobs_fake.assert_not_enqueued(add)


def test_it_decorates_a_function() -> None:
    @fake()
    def ask() -> None:
        add.enqueue(1, 2)

    ask()
    assert not anything_queued(queue_names())


def test_a_direct_call_runs_the_function(jobs_fake: FakeJobs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert add(1, 2) == 3
    assert (jobs_fake.enqueued, caplog.records) == ([], [])
