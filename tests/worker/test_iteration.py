"""A job that iterates goes on where it was, whatever ended the attempt before."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from jobs import RetryPolicy, checkpoints, context, fixed, job, progress
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.settle import settle
from jobs.checkpoints import Checkpoint, StoredKeeper
from jobs.errors import ArgumentsNotJSON, BadOptions, BrokerUnavailable, HandBackJob, JobTimedOut
from jobs.models import DeadJob, JobAttempt, JobCheckpoint
from jobs.registry import Job
from jobs.testing import drain, inline
from jobs.worker import item_count, iteration, lifecycle, stopping
from jobs.worker.desk import Drawers
from tests.engine import OTHER, WORKER, claim, hash_of, work_off

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = RetryPolicy(attempts=3, backoff=fixed(0))


class Walk:
    """A job over the numbers from 1 to `count`: what it was given, and what happens at which of them."""

    def __init__(self, make_job: Callable[..., Job[..., Any]], count: int = 5, **options: Any) -> None:
        self.items: list[int] = []
        self.cursors: list[int | None] = []
        self.at: dict[int, Callable[[], object]] = {}
        self.count = count

        def numbers(start: int, cursor: int | None) -> Iterator[tuple[int, int]]:
            self.cursors.append(cursor)
            yield from ((number, number) for number in range((cursor or start - 1) + 1, self.count + 1))

        def step(number: int, start: int = 1) -> None:
            self.items.append(number)
            self.at.pop(number, lambda: None)()

        self.job = make_job(step, iterates=numbers, **({"retry": AT_ONCE} | options))


@pytest.fixture
def walk(make_job: Callable[..., Job[..., Any]]) -> Walk:
    return Walk(make_job)


@pytest.fixture
def ending(monkeypatch) -> Callable[[], None]:
    """Say that the process is about to end, as SIGTERM does."""
    monkeypatch.setattr(stopping, "_ending", False)
    return stopping.say_ending


def die() -> None:
    """Leave the attempt as a killed process would: nothing after it happens."""
    raise GeneratorExit


def killed(walk: Walk) -> None:
    """One attempt that ends without a word, and what it held handed back."""
    claimed = claim()[0]
    kept = StoredKeeper(claimed)
    kept.flush = lambda: None  # type: ignore[method-assign]
    lifecycle.outcome_of(claimed, worker=WORKER.name, drawers=Drawers(keeper=lambda claim: kept))
    settle(WORKER, [lifecycle.conclude(claimed, lifecycle.Interrupted(), worker=WORKER.name, run_ms=0)])


def test_every_item_is_done_in_order_and_counted(walk):
    run = walk.job.enqueue()
    work_off()
    assert walk.items == [1, 2, 3, 4, 5]
    assert walk.cursors == [None]
    assert (run.state, run.row().result, run.row().attempts) == ("succeeded", 5, 1)


def test_the_function_and_what_it_iterates_over_get_the_same_arguments(walk):
    walk.job.enqueue(3)
    walk.job.enqueue(start=4)
    work_off()
    assert walk.items == [3, 4, 5, 4, 5]


def test_an_item_that_fails_is_where_the_next_attempt_begins(walk):
    walk.at[3] = lambda: 1 / 0
    run = walk.job.enqueue()
    assert drain(due=True).counts == {"retry": 1, "done": 1}
    assert walk.items == [1, 2, 3, 3, 4, 5]
    assert walk.cursors == [None, 2]
    assert (run.row().attempts, run.row().result) == (2, 5)


def test_an_attempt_that_is_cut_off_repeats_one_item_at_the_most(walk):
    walk.at[3] = die
    run = walk.job.enqueue()
    killed(walk)
    work_off()
    assert walk.items == [1, 2, 3, 3, 4, 5]
    assert run.state == "succeeded"


def test_crashes_count_where_a_run_does_not_get_on(walk):
    run = walk.job.enqueue(1)
    client().hset(keys.job(str(run.id)), "crashes", 2)
    walk.at[1] = die
    killed(walk)
    assert hash_of(run.id)["crashes"] == "2"
    walk.at[2] = die
    killed(walk)
    assert "crashes" not in hash_of(run.id)


def test_a_stop_hands_the_run_back_after_the_item_and_burns_no_attempt(walk, ending):
    walk.at[2] = ending
    run = walk.job.enqueue()
    (settlement,) = [lifecycle.attempt(claim()[0], worker=WORKER.name)]
    settle(WORKER, [settlement])
    assert (settlement.where, settlement.entry["outcome"]) == ("front", "interrupted")
    stopping._ending = False
    work_off()
    assert walk.items == [1, 2, 3, 4, 5]
    assert walk.cursors == [None, 2]
    assert (run.row().attempts, run.row().state) == (1, "succeeded")


def test_a_time_slice_makes_room_for_others_and_burns_no_attempt(make_job):
    walk = Walk(make_job, time_slice=timedelta(microseconds=1))
    run = walk.job.enqueue()
    assert drain(due=True).counts == {"put off": 5, "done": 1}
    assert walk.items == [1, 2, 3, 4, 5]
    assert run.row().attempts == 1


def test_a_slice_is_half_of_a_short_time_limit(make_job, monkeypatch):
    walk = Walk(make_job, timeout=10)
    late = iteration.time.monotonic() + 5.5
    walk.at[2] = lambda: monkeypatch.setattr(iteration.time, "monotonic", lambda: late)
    walk.job.enqueue()
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    assert (walk.items, settlement.where) == ([1, 2], "later")


def test_of_time_slices_no_rows_are_left_as_there_may_be_thousands(make_job):
    walk = Walk(make_job, time_slice=timedelta(microseconds=1))
    run = walk.job.enqueue()
    work_off()
    assert (run.state, walk.items) == ("scheduled", [1])
    drain(due=True)
    assert run.state == "succeeded"
    assert not JobAttempt.objects.exists()


def test_after_its_time_slice_a_run_stands_behind_what_waits(make_job):
    others: list[int] = []
    other = make_job(others.append, name="tests.other")
    walk = Walk(make_job, time_slice=timedelta(microseconds=1))
    walk.job.enqueue()
    for number in (1, 2):
        other.enqueue(number)
    seen: list[int] = []
    walk.at[2] = lambda: seen.extend(others)
    drain(due=True)
    assert seen == [1, 2]
    assert walk.items == [1, 2, 3, 4, 5]


def test_a_run_that_has_begun_goes_on_when_it_has_expired(make_job):
    walk = Walk(make_job, time_slice=timedelta(microseconds=1), expires=timedelta(hours=1))
    run = walk.job.enqueue()
    walk.at[1] = lambda: client().hset(f"rq:job:{run.id}", "bounds", '{"expires":1}')
    drain(due=True)
    assert (run.state, walk.items) == ("succeeded", [1, 2, 3, 4, 5])


def pause_after(make_job: Callable[..., Job[..., Any]], monkeypatch: pytest.MonkeyPatch, length: timedelta) -> float:
    """How long a run waits after a time slice of this length."""
    walk = Walk(make_job, time_slice=length, timeout=86_400)
    late = iteration.time.monotonic() + length.total_seconds() + 1
    walk.at[1] = lambda: monkeypatch.setattr(iteration.time, "monotonic", lambda: late)
    walk.job.enqueue()
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    assert (walk.items, settlement.where, settlement.entry["outcome"]) == ([1], "later", "interrupted")
    return settlement.wait_seconds


@pytest.mark.parametrize(("length", "pause"), [(timedelta(hours=1), 1.0), (timedelta(seconds=2), 0.2)])
def test_the_pause_after_a_time_slice_is_a_second_or_a_tenth_of_it(make_job, monkeypatch, length, pause):
    assert pause_after(make_job, monkeypatch, length) == pytest.approx(pause)


def test_a_time_limit_in_an_item_burns_an_attempt_and_goes_on_there(walk):
    def struck() -> None:
        raise JobTimedOut

    walk.at[4] = struck
    run = walk.job.enqueue()
    assert drain(due=True).counts == {"retry": 1, "done": 1}
    assert walk.items == [1, 2, 3, 4, 4, 5]
    assert run.row().attempts == 2


def test_a_dead_run_that_is_requeued_goes_on_where_it_was(walk):
    from jobs import dead

    walk.at[3] = die
    run = walk.job.using(attempts=1).enqueue()
    work_off()
    assert run.state == "dead"
    # What its process did not come to write into the row.
    JobCheckpoint.objects.all().delete()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert walk.items == [1, 2, 3, 3, 4, 5]
    assert run.state == "succeeded"


def test_the_row_remembers_what_redis_loses(walk):
    walk.at[3] = lambda: 1 / 0
    run = walk.job.enqueue()
    work_off()
    kept = JobCheckpoint.objects.get()
    assert (kept.pk, kept.items, kept.cursor) == (run.id, 2, 2)
    client().hdel(f"rq:job:{run.id}", "checkpoint")
    drain(due=True)
    assert walk.items == [1, 2, 3, 3, 4, 5]


def test_redis_is_believed_where_it_knows_more_and_the_row_where_it_does(walk):
    run = walk.job.enqueue()
    JobCheckpoint.objects.create(run_id=run.id, items=2, cursor=2, saved_at=run.row().created_at)
    for in_redis, begins in [([3, 3], 3), ([1, 1], 2), ("", 2), ("broken", 2), ({"a": 1}, 2)]:
        text = in_redis if isinstance(in_redis, str) else json.dumps(in_redis)
        client().hset(f"rq:job:{run.id}", "checkpoint", text)
        claimed = claim()[0]
        assert StoredKeeper(claimed).load().cursor == begins
        settle(WORKER, [lifecycle.conclude(claimed, lifecycle.Interrupted(), worker=WORKER.name, run_ms=0)])


def test_the_row_is_written_now_and_then_while_it_runs(walk, monkeypatch):
    run = walk.job.enqueue()
    seen: list[int] = []
    walk.at[3] = lambda: seen.extend(JobCheckpoint.objects.values_list("items", flat=True))
    monkeypatch.setattr(checkpoints, "_ROW_EVERY_SECONDS", -1.0)
    work_off()
    assert seen == [2]
    assert JobCheckpoint.objects.get(pk=run.id).items == 5


def test_a_short_iteration_writes_no_row(walk):
    walk.job.enqueue()
    work_off()
    assert not JobCheckpoint.objects.exists()


def test_a_database_that_is_away_for_a_moment_does_not_end_it(walk, monkeypatch):
    def refuse(*facts: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(checkpoints, "_ROW_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(checkpoints, "_write", refuse)
    run = walk.job.enqueue()
    work_off()
    assert run.state == "succeeded"


def test_who_was_robbed_meanwhile_ends_after_the_item_and_does_not_move_the_cursor(walk):
    run = walk.job.enqueue()

    def rob() -> None:
        (held,) = (one for one in [first] if one)
        settle(WORKER, [lifecycle.conclude(held, lifecycle.Interrupted(), worker=WORKER.name, run_ms=0)])
        thief = claim(worker=OTHER)[0]
        assert StoredKeeper(thief).load() == Checkpoint(1, 1)

    walk.at[2] = rob
    first = claim()[0]
    outcome = lifecycle.outcome_of(first, worker=WORKER.name)
    assert outcome.name == "interrupted"
    assert walk.items == [1, 2]
    assert json.loads(hash_of(run.id)["checkpoint"]) == [1, 1]


def test_when_redis_loses_its_data_the_attempt_ends_and_the_row_knows_how_far_it_came(walk):
    walk.at[3] = lambda: client().flushall()
    run = walk.job.enqueue()
    assert lifecycle.outcome_of(claim()[0], worker=WORKER.name).name == "interrupted"
    assert walk.items == [1, 2, 3]
    assert JobCheckpoint.objects.get(pk=run.id).cursor == 3


def test_a_late_row_does_not_undo_a_younger_one():
    run_id = uuid.uuid4()
    for items in (3, 7, 5):
        checkpoints._write(run_id, Checkpoint(items, items))
    assert JobCheckpoint.objects.get().items == 7


def test_while_redis_is_away_it_waits_and_goes_on(walk, monkeypatch):
    save, refused = StoredKeeper.save, []

    def away_twice(keeper: StoredKeeper, checkpoint: Checkpoint) -> bool:
        if checkpoint.items == 2 and len(refused) < 2:
            refused.append(True)
            raise BrokerUnavailable("away")
        return save(keeper, checkpoint)

    monkeypatch.setattr(StoredKeeper, "save", away_twice)
    monkeypatch.setattr(iteration, "_RECONNECT_SECONDS", 0)
    walk.job.enqueue()
    work_off()
    assert len(refused) == 2
    assert walk.items == [1, 2, 3, 4, 5]


def test_while_redis_is_away_a_stop_ends_it_and_the_row_knows_how_far(walk, ending, monkeypatch):
    def away(run: object, arguments: object) -> None:
        ending()
        raise BrokerUnavailable("away")

    walk.at[2] = lambda: monkeypatch.setattr(checkpoints.lua, "run", away)
    walk.job.enqueue()
    first = claim()[0]
    assert lifecycle.outcome_of(first, worker=WORKER.name).name == "interrupted"
    assert JobCheckpoint.objects.get().items == 2


def test_a_run_without_a_row_keeps_its_place_in_redis(make_job):
    walk = Walk(make_job, durable=False)
    walk.at[3] = die
    walk.job.enqueue()
    killed(walk)
    work_off()
    assert walk.items == [1, 2, 3, 3, 4, 5]
    assert not JobCheckpoint.objects.exists()


def test_a_cursor_that_is_not_json_is_refused_before_its_item_is_done(make_job):
    done: list[object] = []
    bad = make_job(done.append, iterates=lambda cursor: [({1}, "item")], retry=1)
    bad.enqueue()
    (settlement,) = work_off()
    assert settlement.entry["error_class"].endswith(ArgumentsNotJSON.__name__)
    assert "cursor is a set" in settlement.entry["error_message"]
    assert done == []


def test_what_is_no_pair_is_refused(make_job):
    bad = make_job(lambda item: None, iterates=lambda cursor: ["ab"], retry=1)
    bad.enqueue()
    (settlement,) = work_off()
    assert "yield two things" in settlement.entry["error_message"]


def test_a_generator_is_closed_at_once_when_an_item_fails(make_job):
    told: list[str] = []

    def numbers(cursor: int | None) -> Iterator[tuple[int, int]]:
        try:
            yield 1, 1
        finally:
            told.append("closed")

    failing = make_job(lambda item: 1 / item.nothing, iterates=numbers, retry=1)
    failing.enqueue()
    work_off()
    assert told == ["closed"]


def test_inline_it_runs_from_the_beginning_and_keeps_nothing(walk):
    with inline() as jobs:
        walk.job.enqueue(2)
    assert walk.items == [2, 3, 4, 5]
    assert jobs.attempts[0].result == 4
    assert not client().keys("rq:*")


def test_called_it_does_all_items_here_and_now(walk):
    assert walk.job(4) == 2
    assert walk.items == [4, 5]


def test_an_item_may_ask_for_its_run(make_job):
    asked: list[uuid.UUID | str] = []
    asking = make_job(lambda item: asked.append(context.current_run().id), iterates=lambda cursor: [(1, 1), (2, 2)])
    run = asking.enqueue()
    work_off()
    assert asked == [run.id, run.id]


def test_an_item_may_hand_the_run_back_and_is_begun_again(walk):
    def hand_back() -> None:
        raise HandBackJob

    walk.at[3] = hand_back
    run = walk.job.enqueue()
    drain(due=True)
    assert walk.items == [1, 2, 3, 3, 4, 5]
    assert run.row().attempts == 1


def test_items_that_are_gone_at_the_end_make_no_difference(walk):
    walk.at[3] = die
    run = walk.job.enqueue()
    killed(walk)
    walk.count = 2
    work_off()
    assert (run.state, run.row().result) == ("succeeded", 2)


async def _later(item: object) -> None: ...


async def _items_later(cursor: object) -> Any:
    yield 1, 1


@pytest.mark.parametrize(
    ("function", "iterates", "cure"),
    [
        (lambda item: None, "numbers", "pass a plain function"),
        (lambda item: None, _items_later, "pass a plain function"),
        (_later, lambda cursor: [], "async_to_sync"),
        (lambda: None, lambda cursor: [], "the item as its first parameter"),
        (lambda *, item: None, lambda cursor: [], "the item as its first parameter"),
        (lambda item, year: None, lambda cursor: [], r"\(year, cursor\)"),
        (lambda item, year: None, lambda cursor, year: [], r"\(year, cursor\)"),
        (lambda item, year: None, lambda year: [], r"\(year, cursor\)"),
    ],
)
def test_what_cannot_iterate_is_refused_when_it_is_defined(function, iterates, cure):
    with pytest.raises(BadOptions, match=cure):
        job(name="tests.wrong", iterates=iterates)(function)


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"time_slice": 60}, "pass a timedelta"),
        ({"time_slice": timedelta(0)}, "pass a timedelta"),
        ({"time_slice": timedelta(seconds=60), "timeout": 60}, "leave time for the longest item"),
        ({"total": 7}, "a plain function"),
        ({"total": lambda year: 7}, r"the job's arguments: \(\)"),
    ],
)
def test_what_cannot_be_of_a_job_that_iterates_is_refused_when_it_is_defined(options, cure):
    with pytest.raises(BadOptions, match=cure):
        job(name="tests.wrong", iterates=lambda cursor: [], **options)(lambda item: None)


@pytest.mark.parametrize("options", [{"time_slice": timedelta(seconds=1)}, {"total": lambda: 7}])
def test_a_job_that_does_not_iterate_has_neither_slices_nor_a_total(options):
    with pytest.raises(BadOptions, match="is for a job that iterates"):
        job(name="tests.wrong", **options)(lambda: None)


# Its progress.


@pytest.fixture
def told_at_once(monkeypatch) -> None:
    """A run that has gone on for more than a moment."""
    monkeypatch.setattr(item_count, "_QUIET_SECONDS", -1.0)


@pytest.mark.usefixtures("told_at_once")
def test_it_reports_by_itself_how_far_it_is(make_job):
    walk = Walk(make_job, total=lambda start=1: 5)
    walk.at[3] = lambda: 1 / 0
    run = walk.job.enqueue()
    work_off()
    assert str(progress.of(run.row())) == "2 of 5 (40 %)"
    drain(due=True)
    assert str(progress.of(run.row())) == "5 of 5 (100 %)"


def test_a_run_that_failed_at_once_says_how_far_it_came(make_job):
    walk = Walk(make_job, total=lambda start=1: 5, retry=1)
    walk.at[3] = lambda: 1 / 0
    run = walk.job.enqueue()
    work_off()
    assert (run.state, str(progress.of(run.row()))) == ("dead", "2 of 5 (40 %)")


def test_a_short_iteration_reports_nothing_and_counts_nothing(make_job):
    counted: list[int] = []
    walk = Walk(make_job, total=lambda start=1: counted.append(start))
    run = walk.job.enqueue()
    work_off()
    assert counted == []
    assert progress.of(run.row()) is None


@pytest.mark.usefixtures("told_at_once")
@pytest.mark.parametrize("total", [None, lambda start=1: None, lambda start=1: -1, lambda start=1: 1 / 0])
def test_without_a_total_it_says_what_is_done(make_job, total):
    walk = Walk(make_job, total=total)
    run = walk.job.enqueue()
    work_off()
    assert (run.state, str(progress.of(run.row()))) == ("succeeded", "5")


@pytest.mark.usefixtures("told_at_once")
def test_more_items_than_there_were_at_first_are_the_total(make_job):
    run = Walk(make_job, total=lambda start=1: 3).job.enqueue()
    work_off()
    assert str(progress.of(run.row())) == "5 of 5 (100 %)"


def test_the_item_is_no_argument_that_may_be_named(make_job):
    with pytest.raises(BadOptions, match="sensitive"):
        make_job(lambda item, year: None, iterates=lambda year, cursor: [], sensitive=["item"])
