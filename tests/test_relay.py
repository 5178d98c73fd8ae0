"""What its caller could not push is pushed, once, and nothing that has ended comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import relay as relay_module
from jobs.broker.connection import client
from jobs.broker.keys import QUEUES, job, queue
from jobs.models import JobRun, RunState
from jobs.models.runs import ENDED_STATES
from jobs.relay import backlog, relay, resting
from tests.at_once import at_once
from tests.engine import a_run, attempt_next, hash_of, places, work_off
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nothing_rests() -> None:
    """What refused in another test is not known here."""
    resting.clear()


def left_behind(state: str = RunState.QUEUED, **facts) -> JobRun:
    return a_run(state, **{"created_at": timezone.now() - MINUTE, **facts})


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING])
def test_a_row_that_was_left_behind_is_pushed_once(state):
    row = left_behind(state)
    assert relay() == 1
    assert relay() == 0
    assert places(row.pk) == ["queued:default"]
    row.refresh_from_db()
    assert row.pushed_at is not None


def test_a_row_that_is_due_later_waits_for_its_time():
    row = left_behind(RunState.SCHEDULED, due_at=timezone.now() + MINUTE)
    assert relay() == 1
    assert places(row.pk) == ["scheduled:default"]


def test_a_fresh_row_is_left_to_its_caller():
    a_run(RunState.QUEUED)
    assert relay() == 0


@pytest.mark.parametrize("state", [RunState.RUNNING, *ENDED_STATES])
def test_a_row_in_another_state_is_not_pushed(state):
    row = left_behind(state)
    assert relay() == 0
    assert places(row.pk) == []


def test_a_run_whose_push_arrived_is_not_pushed_twice():
    run = sample.add.enqueue(1, 2)
    JobRun.objects.update(created_at=timezone.now() - MINUTE)
    assert relay() == 1
    assert places(run.id) == ["queued:default"]


def test_what_only_waits_for_a_worker_is_marked_and_not_pushed_again(monkeypatch):
    waiting = sample.add.enqueue_many([(1, 2)] * 3)
    JobRun.objects.update(created_at=timezone.now() - MINUTE)
    absent = left_behind()
    pushed: list[str] = []
    monkeypatch.setattr("jobs.relay.push", lambda messages, at: pushed.extend(one.run_id for one in messages))
    assert relay() == 4
    assert pushed == [absent.rq_id]
    assert not JobRun.objects.filter(pushed_at=None).exists()
    assert [places(run.id) for run in waiting] == [["queued:default"]] * 3


def test_a_run_that_waits_in_an_earlier_life_is_pushed():
    run = sample.add.enqueue(1, 2)
    JobRun.objects.update(created_at=timezone.now() - MINUTE, life=1)
    client().delete(queue("default"))
    assert relay() == 1
    assert places(run.id) == ["queued:default"]


def test_a_key_that_is_in_use_for_something_else_is_left_alone():
    row, life_unread = left_behind(), left_behind()
    client().set(job(str(row.pk)), "x")
    client().hset(job(str(life_unread.pk)), "life", "damaged")
    assert relay() == 2
    assert client().get(job(str(row.pk))) == b"x"
    assert places(life_unread.pk) == []


def test_a_run_that_has_ended_and_is_not_recorded_yet_does_not_come_back():
    run = sample.add.enqueue(1, 2)
    attempt_next()
    JobRun.objects.update(created_at=timezone.now() - MINUTE)
    relay()
    assert places(run.id) == []
    work_off()
    assert run.state == "succeeded"
    assert relay() == 0


def test_a_later_life_goes_out_with_its_attempts_anew():
    row = left_behind(life=2, attempts=0)
    relay()
    assert (hash_of(row.pk)["life"], hash_of(row.pk)["attempts"]) == ("2", "0")


def test_a_run_that_redis_may_have_begun_and_lost_goes_out_as_robbed():
    run = left_behind()
    relay()
    assert hash_of(run.pk)["robbed"] == "1"


def test_attempts_made_before_are_not_forgotten():
    row = left_behind(RunState.RETRYING, attempts=3)
    relay()
    assert hash_of(row.pk)["attempts"] == "3"


def test_no_more_than_five_hundred_at_a_time_the_oldest_first():
    rows = [left_behind() for _ in range(3)]
    JobRun.objects.bulk_create(
        JobRun(
            id=f"ffffffff-0000-7000-8000-{number:012}",
            rq_id=f"ffffffff-0000-7000-8000-{number:012}",
            name="tests.sample.add",
            queue="default",
            state=RunState.QUEUED,
            payload=[[1, 2], {}],
            arguments={},
            max_attempts=3,
            created_at=timezone.now() - MINUTE,
        )
        for number in range(500)
    )
    assert backlog().count == 503
    assert relay() == 500
    assert all(places(row.pk) for row in rows)
    assert relay() == 3
    assert backlog().count == 0


def test_a_row_of_a_job_that_is_not_known_here_is_pushed_all_the_same():
    row = left_behind(name="shop.tomorrow")
    assert relay() == 1
    assert hash_of(row.pk)["timeout"] == "300"


def test_a_queue_that_cannot_be_written_does_not_hold_up_the_others(monkeypatch, caplog):
    monkeypatch.setattr("jobs.relay._told", frozenset())
    client().set(queue("low"), "x")
    blocked = [left_behind(queue="low") for _ in range(3)]
    fine = left_behind()
    assert [relay(), relay()] == [1, 0]
    assert places(fine.pk) == ["queued:default"]
    assert caplog.text.count("rq:queue:low") == 1
    client().delete(queue("low"))
    # It rests for a moment.
    assert relay() == 0
    assert relay(min_age=None) == 3
    assert places(blocked[0].pk) == ["queued:low"]


def test_a_full_hand_of_a_queue_that_cannot_be_written_does_not_hold_up_the_others(monkeypatch):
    monkeypatch.setattr("jobs.relay._ROWS_AT_ONCE", 2)
    for name in ("low", "critical"):
        client().set(queue(name), "x")
        for _ in range(3):
            left_behind(queue=name)
    fine = left_behind()
    assert relay() == 1
    assert places(fine.pk) == ["queued:default"]


def test_nothing_is_marked_while_the_list_of_queues_is_something_else():
    client().set(QUEUES, "x")
    row = left_behind()
    assert relay() == 0
    client().delete(QUEUES)
    assert relay(min_age=None) == 1
    assert places(row.pk) == ["queued:default"]


def test_two_relays_at_once_push_each_row_once():
    rows = [left_behind() for _ in range(40)]

    def push(_):
        while relay():
            pass

    at_once(push, range(4))
    assert client().llen(queue("default")) == len(rows)


def test_the_backlog_says_how_many_and_since_when():
    assert (backlog().oldest_at, backlog().lag) == (None, timedelta(0))
    oldest = left_behind(created_at=timezone.now() - 2 * MINUTE)
    left_behind()
    with CaptureQueriesContext(connection) as captured:
        found = backlog()
    assert len(captured.captured_queries) == 1
    assert (found.count, found.oldest_at) == (2, oldest.created_at)
    assert 2 * MINUTE <= found.lag < 3 * MINUTE


def test_an_idle_relay_is_one_look():
    with CaptureQueriesContext(connection) as captured:
        relay()
    assert len([one for one in captured.captured_queries if one["sql"].startswith("SELECT")]) == 1


def test_a_queue_that_refuses_is_tried_ever_more_rarely(monkeypatch):
    pushes = []
    clock = [0.0]
    monkeypatch.setattr("jobs.relay.time.monotonic", lambda: clock[0])
    client().set(queue("low"), "x")
    left_behind(queue="low")
    real = relay_module.push
    monkeypatch.setattr(relay_module, "push", lambda *given, **named: pushes.append(clock[0]) or real(*given, **named))
    for second in range(31):
        clock[0] = float(second)
        relay()
    assert pushes == [0.0, 2.0, 6.0, 14.0, 30.0]
    client().delete(queue("low"))
    clock[0] = 62.0
    assert relay() == 1
    assert resting.now() == frozenset()
