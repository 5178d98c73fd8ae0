"""Of equal runs one is there: until it has ended, until it has begun, or for a time; and what a second asking does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import AlreadyPending, Unique, dead, drafts, recorder, runs
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.settle import settle
from jobs.errors import BrokerUnavailable
from jobs.jobs import prune_runs
from jobs.models import AuditEntry, DeadJob, JobRun, UniqueHold
from jobs.policy.outcome import Crashed, Interrupted
from jobs.uniques import conflicts, holds
from jobs.worker import lifecycle
from tests import engine
from tests.at_once import at_once
from tests.engine import attempt_next, claim, places, work_off

make_job = engine.make_job
pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


def nothing(key="a", words=""):
    return None


@pytest.fixture
def unique(make_job):
    """Makes a job that is unique by its first argument."""

    def make(function=nothing, *, retry=1, **choices):
        return make_job(function, unique=Unique(["key"], **choices), retry=retry)

    return make


def waiting() -> list[str]:
    """The ids of what waits in the queue."""
    return [run_id.decode() for run_id in client().lrange(keys.queue("default"), 0, -1)]


class Rollback(Exception):
    pass


# What an asking does that meets an equal run.


def test_a_second_asking_is_refused_where_that_was_chosen(unique):
    job = unique(on_conflict="raise")
    first = job.enqueue("a")
    with pytest.raises(AlreadyPending, match="is queued") as caught:
        job.enqueue("a")
    assert (caught.value.run.id, caught.value.run.created) == (first.id, False)
    assert job.enqueue("b").created
    work_off()
    assert job.enqueue("a").created


def test_who_is_refused_may_go_on_with_the_transaction(unique):
    job = unique(on_conflict="raise")
    job.enqueue("a")
    with transaction.atomic():
        with pytest.raises(AlreadyPending):
            job.enqueue("a")
        other = job.enqueue("b")
    assert other.state == "queued"


def test_a_refusal_among_many_leaves_none_of_them(unique):
    job = unique(on_conflict="raise")
    job.enqueue("c")
    with pytest.raises(AlreadyPending):
        job.enqueue_many([("a",), ("b",), ("c",)])
    assert JobRun.objects.count() == 1


def test_a_later_asking_takes_the_place_of_a_run_that_waits(unique):
    job = unique(on_conflict="replace")
    first = job.enqueue("a", "old")
    second = job.enqueue("a", "new")
    assert second.created
    assert (first.state, second.state) == ("cancelled", "queued")
    assert waiting() == [str(second.id)]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("unique job", "cancel", str(first.id))
    assert str(second.id) in entry.reason


def test_a_run_that_is_due_later_is_replaced_too(unique):
    job = unique(on_conflict="replace")
    first = job.enqueue_in(60, "a", "old")
    second = job.enqueue_at(timezone.now() + HOUR, "a", "new")
    assert (first.state, second.state) == ("cancelled", "scheduled")
    assert places(first.id) == []


def test_a_rollback_gives_a_replaced_run_its_place_back(unique):
    job = unique(on_conflict="replace")
    first = job.enqueue("a", "old")

    def roll_back() -> None:
        with transaction.atomic():
            job.enqueue("a", "new")
            raise Rollback

    with pytest.raises(Rollback):
        roll_back()
    assert first.state == "queued"
    assert JobRun.objects.count() == 1
    # Aside for a minute, as after any cancellation that was rolled back.
    assert places(first.id) == ["scheduled:default"]


def test_a_run_that_has_begun_is_not_replaced(unique):
    job = unique(on_conflict="replace")
    first = job.enqueue("a", "old")
    # Redis knows of the start, and the row does not yet.
    claim()
    with pytest.raises(AlreadyPending) as caught:
        job.enqueue("a", "new")
    assert caught.value.run.id == first.id
    assert JobRun.objects.count() == 1


def test_a_run_that_waits_to_be_tried_again_is_not_replaced(unique):
    def fail(key, words=""):
        raise ValueError(words)

    job = unique(fail, retry=3, on_conflict="replace")
    job.enqueue("a", "old")
    work_off()
    with pytest.raises(AlreadyPending, match="is retrying"):
        job.enqueue("a", "new")


def test_without_redis_nothing_is_replaced_and_nothing_lost(unique, monkeypatch):
    job = unique(on_conflict="replace")
    first = job.enqueue("a", "old")

    def away(*args, **facts):
        raise BrokerUnavailable("away")

    monkeypatch.setattr(runs, "withdraw", away)
    with pytest.raises(BrokerUnavailable):
        job.enqueue("a", "new")
    assert first.state == "queued"
    assert JobRun.objects.count() == 1


@pytest.mark.parametrize("slices", [1000, 1])
def test_of_equal_calls_in_one_asking_the_last_takes_the_place(unique, monkeypatch, slices):
    monkeypatch.setattr(drafts, "_SLICE_RUNS", slices)
    job = unique(on_conflict="replace")
    many = job.enqueue_many([("a", "one"), ("b", "one"), ("a", "two")])
    assert waiting() == [str(many[1].id), str(many[2].id)]
    assert many[2].row().arguments["words"] == "two"


@pytest.mark.parametrize("slices", [1000, 1])
@pytest.mark.parametrize("on_conflict", ["skip", "raise"])
def test_of_equal_calls_in_one_asking_the_first_stands_for_all(unique, monkeypatch, slices, on_conflict):
    monkeypatch.setattr(drafts, "_SLICE_RUNS", slices)
    many = unique(on_conflict=on_conflict).enqueue_many([("a", "one"), ("b", "one"), ("a", "two")])
    assert [run.created for run in many] == [True, True, False]
    assert many[0].id == many[2].id
    assert waiting() == [str(many[0].id), str(many[1].id)]


# A key of one's own.


def test_a_function_says_which_are_equal(make_job):
    job = make_job(nothing, unique=lambda key, words: key.lower() or None)
    assert job.enqueue("A").id == job.enqueue("a", "other").id
    assert job.enqueue("b").created
    assert [run.created for run in job.enqueue_many([("",), ("",), ("B",)])] == [True, True, False]


# Until started.


def test_a_run_that_has_begun_keeps_nobody_out(unique):
    job = unique(until="started")
    first = job.enqueue("a")
    assert job.enqueue("a").id == first.id
    claim()
    second = job.enqueue("a")
    assert second.created
    assert job.enqueue("a").id == second.id
    assert waiting() == [str(second.id)]


def test_a_run_that_is_due_later_keeps_its_equals_out(unique):
    job = unique(until="started")
    first = job.enqueue_in(HOUR, "a")
    assert job.enqueue("a").id == first.id


def test_a_run_that_was_handed_back_has_not_begun(unique):
    job = unique(until="started")
    first = job.enqueue("a")
    (held,) = claim()
    settle(engine.WORKER, [lifecycle.conclude(held, Interrupted(), worker="tester", run_ms=5)])
    assert job.enqueue("a").id == first.id


def test_a_run_that_has_ended_unheard_keeps_nobody_out(unique):
    job = unique(until="started")
    job.enqueue("a")
    attempt_next()
    assert job.enqueue("a").created


def test_a_failed_run_that_waits_for_its_retry_keeps_nobody_out_and_is_none_the_worse(unique):
    def fail(key, words=""):
        raise ValueError

    job = unique(fail, retry=2, until="started")
    first = job.enqueue("a")
    work_off()
    assert first.state == "retrying"
    assert job.enqueue("a").created
    assert first.state == "retrying"


def test_until_started_nobody_asks_redis_but_who_meets_an_equal_run(unique, monkeypatch):
    asked = []
    monkeypatch.setattr(conflicts, "begun", lambda runs: asked.append(len(runs)) or [False] * len(runs))
    job = unique(until="started")
    job.enqueue("a")
    assert asked == []
    job.enqueue_many([("a",), ("b",), ("c",)])
    job.enqueue_many([("a",), ("b",), ("c",), ("d",)])
    assert asked == [1, 3]


def test_a_run_that_begins_before_its_caller_commits_is_followed_by_another(unique):
    """The run cannot have seen what was committed after it began."""
    job = unique(until="started")
    first = job.enqueue("a")
    with transaction.atomic():
        given = job.enqueue("a")
        assert given.id == first.id
        claim()
        assert waiting() == []
    (second,) = waiting()
    assert second != str(first.id)
    assert JobRun.objects.get(pk=second).unique_key is not None
    assert first.row().unique_key is None


def test_a_run_that_has_not_begun_when_its_caller_commits_will_see_it(unique):
    job = unique(until="started")
    job.enqueue("a")
    with transaction.atomic():
        job.enqueue_many([("a",), ("b",)])
    assert len(waiting()) == JobRun.objects.count() == 2


def test_a_rollback_asks_for_no_other_run(unique):
    job = unique(until="started")
    job.enqueue("a")

    def roll_back() -> None:
        with transaction.atomic():
            job.enqueue("a")
            claim()
            raise Rollback

    with pytest.raises(Rollback):
        roll_back()
    assert JobRun.objects.count() == 1


def test_where_redis_does_not_say_it_is_rather_one_run_too_many(unique, monkeypatch):
    def away(runs):
        raise BrokerUnavailable("away")

    job = unique(until="started")
    job.enqueue("a")
    monkeypatch.setattr(conflicts, "begun", away)
    assert job.enqueue("a").created


def test_until_started_a_waiting_run_is_replaced_and_a_running_one_left_alone(unique):
    job = unique(until="started", on_conflict="replace")
    first = job.enqueue("a", "one")
    claim()
    second = job.enqueue("a", "two")
    third = job.enqueue("a", "three")
    assert (second.state, third.state) == ("cancelled", "queued")
    assert waiting() == [str(third.id)]
    assert first.row().ended_at is None


# For a time.


def test_for_its_period_a_run_keeps_its_equals_out_also_after_its_success(unique):
    job = unique(lasting=HOUR)
    first = job.enqueue("a")
    work_off()
    again = job.enqueue("a")
    assert (again.id, again.created, again.state) == (first.id, False, "succeeded")
    assert [run.created for run in job.enqueue_many([("a",), ("b",)])] == [False, True]


def test_when_its_period_is_over_an_equal_run_may_come(unique):
    job = unique(lasting=HOUR)
    first = job.enqueue("a")
    work_off()
    UniqueHold.objects.update(until=timezone.now())
    second = job.enqueue("a")
    assert second.created
    assert second.id != first.id
    assert job.enqueue("a").id == second.id


def test_a_run_that_waits_beyond_its_period_keeps_its_equals_out_all_the_same(unique):
    job = unique(lasting=HOUR)
    first = job.enqueue("a")
    UniqueHold.objects.update(until=timezone.now())
    assert job.enqueue("a").id == first.id
    assert UniqueHold.objects.get().run == first.id


@pytest.mark.parametrize("end", ["dead", "discarded", "cancelled"])
def test_a_run_that_ends_without_success_keeps_nobody_out(unique, end):
    def fail(key, words=""):
        raise ValueError

    job = unique(fail, lasting=HOUR)
    first = job.enqueue("a")
    if end == "cancelled":
        runs.cancel(first.row(), actor="ann")
    else:
        work_off()
    if end == "discarded":
        dead.discard(DeadJob.objects.get(), actor="ann", reason="no use")
    assert first.state == end
    second = job.enqueue("a")
    assert second.created
    assert UniqueHold.objects.get().run == second.id


def test_a_rollback_takes_the_period_with_it(unique):
    job = unique(lasting=HOUR)

    def roll_back() -> None:
        with transaction.atomic():
            job.enqueue("a")
            raise Rollback

    with pytest.raises(Rollback):
        roll_back()
    assert not UniqueHold.objects.exists()
    assert job.enqueue("a").created


def test_a_period_can_be_met_by_an_error_or_a_replacement(unique):
    job = unique(lasting=HOUR, on_conflict="replace")
    first = job.enqueue("a", "one")
    second = job.enqueue("a", "two")
    assert (first.state, second.created) == ("cancelled", True)
    work_off()
    with pytest.raises(AlreadyPending, match="is succeeded"):
        job.enqueue("a", "three")


def test_until_started_a_period_holds_beyond_the_start(unique):
    job = unique(lasting=HOUR, until="started")
    first = job.enqueue("a")
    claim()
    assert job.enqueue("a").id == first.id
    with transaction.atomic():
        assert job.enqueue("a").id == first.id
    assert JobRun.objects.count() == 1


def test_a_run_that_was_pruned_keeps_its_period(unique):
    job = unique(lasting=HOUR)
    first = job.enqueue("a")
    JobRun.objects.all().delete()
    again = job.enqueue("a")
    assert (again.id, again.created) == (first.id, False)


def test_periods_that_are_over_are_deleted_by_night(unique):
    job = unique(lasting=HOUR)
    job.enqueue_many([("a",), ("b",)])
    assert not holds.is_anything_prunable()
    UniqueHold.objects.filter(run=job.enqueue("a").id).update(until=timezone.now())
    assert holds.is_anything_prunable()
    assert prune_runs("2026-05-04")["holds"] == 1
    assert UniqueHold.objects.count() == 1


# A dead holder.


@pytest.mark.parametrize("choices", [{}, {"lasting": HOUR}])
def test_a_run_whose_process_is_killed_is_given_until_it_is_buried_and_blocks_nobody_then(unique, choices):
    job = unique(**choices)
    first = job.enqueue("a")
    (held,) = claim()
    assert job.enqueue("a").id == first.id
    settle(engine.WORKER, [lifecycle.conclude(held, Crashed(alone=True), worker="tester", run_ms=5)])
    recorder.record_all()
    assert first.state == "dead"
    assert job.enqueue("a").created


def test_a_dead_run_is_requeued_where_no_equal_one_is_pending(unique):
    def fail(key, words=""):
        raise ValueError

    job = unique(fail, until="started")
    first = job.enqueue("a")
    work_off()
    second = job.enqueue("a")
    assert second.created
    with pytest.raises(dead.NotRequeueable, match="an equal run is pending"):
        dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    dead.requeue(DeadJob.objects.get(run=first.id), actor="ann")
    assert job.enqueue("a").id == first.id


# Under a race.


@pytest.mark.parametrize(
    "choices",
    [
        {},
        pytest.param({"lasting": HOUR}, marks=pytest.mark.slow),
        pytest.param({"on_conflict": "raise"}, marks=pytest.mark.slow),
        pytest.param({"until": "started"}, marks=pytest.mark.slow),
        pytest.param({"on_conflict": "replace"}, marks=pytest.mark.slow),
    ],
    ids=["skip", "for a time", "raise", "until started", "replace"],
)
def test_fifty_at_once_make_one_run(unique, choices):
    job = unique(**choices)
    told = at_once(job.enqueue, ["a"] * 50, refusals=AlreadyPending)
    found = [one.run if isinstance(one, AlreadyPending) else one for one in told]
    left = JobRun.objects.exclude(state="cancelled")
    assert left.count() == 1
    assert waiting() == [str(left.get().pk)]
    if choices.get("on_conflict") != "replace":
        assert {run.id for run in found} == {left.get().pk}
        assert JobRun.objects.count() == 1


# Whatever happens, in whatever order.

_acts = st.lists(st.sampled_from(["ask", "ask in a transaction", "roll back", "begin", "end", "over"]), max_size=12)


@pytest.mark.parametrize(
    "choices",
    [{}, {"until": "started"}, {"lasting": HOUR}, {"until": "started", "on_conflict": "replace"}],
    ids=["finished", "started", "lasting", "replace"],
)
def test_never_are_two_there_that_keep_each_other_out(unique, choices):
    job = unique(**choices)

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(acts=_acts)
    def hold(acts):
        JobRun.objects.all().delete()
        UniqueHold.objects.all().delete()
        client().delete(*client().keys("rq:*"), "none")
        for act in acts:
            _act(act, job)
            _check(choices)

    hold()


def _act(act, job):
    if act == "ask":
        job.enqueue("a")
    elif act == "ask in a transaction":
        with transaction.atomic():
            job.enqueue_many([("a", "1"), ("a", "2")])
    elif act == "roll back":
        try:
            with transaction.atomic():
                job.enqueue_many([("a",)])
                raise Rollback
        except Rollback:
            pass
    elif act == "begin":
        claim()
    elif act == "end":
        work_off()
    else:
        UniqueHold.objects.update(until=timezone.now())


def _check(choices):
    with_key = JobRun.objects.filter(unique_key__isnull=False, state__in=conflicts.PENDING_STATES)
    assert with_key.count() <= 1
    assert len(waiting()) <= 1
    if "lasting" in choices and (hold := UniqueHold.objects.first()) and hold.until > timezone.now():
        since = hold.until - HOUR
        assert JobRun.objects.filter(created_at__gte=since, state="succeeded").count() <= 1
