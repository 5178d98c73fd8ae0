"""Counts of batches change with the rows of their members, and what follows of them comes once."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import DiscardJob, RetryPolicy, batches, dead, discards, fixed, job, recorder, runs
from jobs.batches import folding
from jobs.broker import journal
from jobs.broker.settle import settle
from jobs.errors import BadArguments, BadOptions, UnknownJob
from jobs.models import Batch, BatchSlice, DeadJob, JobRun
from jobs.recorder import storing
from jobs.registry import Placed, Placing, Prepared
from jobs.testing import drain
from jobs.worker import lifecycle
from tests.engine import WORKER, claim, make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


def behave(how):
    if how == "fail":
        raise ValueError("no")
    if how == "discard":
        raise DiscardJob


@pytest.fixture
def work(make_job):
    return make_job(behave, name="tests.batches.work", retry=RetryPolicy(attempts=2, backoff=fixed(0), jitter=0))


@pytest.fixture
def told():
    return []


@pytest.fixture
def tell(make_job, told):
    return make_job(told.append, name="tests.batches.tell")


def made(tell, **facts):
    words = {f"on_{event}": tell.prepare(event).as_json() for event in ("success", "complete", "death")}
    return Batch.objects.create(name="test", **words, **facts)


def add(batch, job, *calls):
    return Placed(job, Placing(batch=batch.pk)).enqueue_many([(call,) for call in calls])


def seal(batch):
    Batch.objects.filter(pk=batch.pk).update(sealed_at=timezone.now(), ripe=True)


def counts(batch):
    batch.refresh_from_db()
    return (batch.state, batch.total, batch.succeeded, batch.dead, batch.discarded, batch.cancelled)


def test_members_are_counted_by_how_they_end(work, tell, told):
    batch = made(tell)
    *_, waits = add(batch, work, "work", "work", "fail", "discard", "work")
    runs.cancel(JobRun.objects.get(pk=waits.id), actor="test")
    seal(batch)
    drain(due=True)
    assert counts(batch) == ("failed", 5, 2, 1, 1, 1)
    assert told == ["death", "complete"]


def test_an_open_batch_has_no_end(work, tell, told):
    batch = made(tell)
    add(batch, work, "work")
    drain()
    assert (counts(batch)[0], batch.succeeded, told) == ("filling", 1, [])
    seal(batch)
    drain()
    assert counts(batch) == ("succeeded", 1, 1, 0, 0, 0)
    assert told == ["complete", "success"]


def test_a_revived_member_is_counted_anew_and_its_success_told_once(work, tell, told, monkeypatch):
    batch = made(tell)
    add(batch, work, "fail", "work")
    seal(batch)
    drain(due=True)
    dead_job = DeadJob.objects.get()
    monkeypatch.setattr(work, "function", lambda how: None)
    dead.discard(dead_job, actor="test", reason="test")
    assert counts(batch)[1:] == (2, 1, 0, 1, 0)
    discards.undo(DeadJob.objects.get(), actor="test")
    assert counts(batch)[1:] == (2, 1, 1, 0, 0)
    dead.requeue(DeadJob.objects.get(), actor="test")
    batches.follow()
    assert counts(batch) == ("running", 2, 1, 0, 0, 0)
    drain(due=True)
    assert counts(batch) == ("succeeded", 2, 2, 0, 0, 0)
    assert sorted(told) == ["complete", "death", "success"]


def test_a_batch_within_ends_first(work, tell, told):
    outer = made(tell)
    inner = Batch.objects.create(name="inner", within=outer)
    add(inner, work, "work")
    seal(outer)
    drain()
    assert counts(outer)[0] == "running"
    seal(inner)
    drain()
    assert counts(outer)[0] == counts(inner)[0] == "succeeded"
    assert told == ["complete", "success"]


def test_a_callback_that_no_code_knows_is_told_when_one_does(work, told):
    on_success = {"job": "tests.batches.later", "args": ["late"], "kwargs": {}}
    batch = Batch.objects.create(name="test", on_success=on_success)
    seal(batch)
    assert batches.follow() == 0
    batch.refresh_from_db()
    assert batch.ripe
    assert "No job is named" in batch.trouble
    job(name="tests.batches.later")(told.append)
    drain()
    batch.refresh_from_db()
    assert (told, batch.ripe, batch.trouble) == (["late"], False, "")


def test_members_are_added_with_their_rows_and_lock_no_batch(work, tell):
    batch = made(tell)
    add(batch, work, *["work"] * 1500)
    assert list(BatchSlice.objects.order_by("pk").values_list("members", flat=True)) == [1000, 500]
    assert counts(batch)[1] == 0


def test_what_is_told_twice_is_counted_once(work, tell):
    batch = made(tell)
    add(batch, work, "work", "work", "discard", "fail")
    for attempt in [lifecycle.attempt(claimed, worker=WORKER.name) for claimed in claim(4)]:
        settle(WORKER, [attempt])
    after = recorder.position()
    told = journal.read(after, most=500)
    recorder.record_all()
    expected = counts(batch)
    assert expected[2:] == (2, 0, 1, 0)
    with transaction.atomic():
        storing._write(told)
    assert counts(batch) == expected
    # As a second recorder, which read what the first has stored meanwhile.
    with pytest.raises(storing.CursorMoved):
        storing._store(told, after=after)
    assert counts(batch) == expected


def test_a_batch_is_changed_once_in_a_transaction_of_the_recorder(work, tell):
    batch = made(tell)
    add(batch, work, "work", "work", "discard")
    for attempt in [lifecycle.attempt(claimed, worker=WORKER.name) for claimed in claim(3)]:
        settle(WORKER, [attempt])
    with CaptureQueriesContext(connection) as asked:
        recorder.record_all()
    assert len([query for query in asked if query["sql"].startswith('UPDATE "jobs_batch"')]) == 1
    assert counts(batch)[2:] == (2, 0, 1, 0)


def test_what_is_rolled_back_is_not_counted(work, tell):
    batch = made(tell)
    add(batch, work, "work")
    with suppress(ZeroDivisionError), transaction.atomic():
        runs.cancel(JobRun.objects.get(), actor="test")
        assert counts(batch)[5] == 1
        raise ZeroDivisionError
    assert counts(batch)[5] == 0


def test_many_one_by_one_are_folded(work, tell, monkeypatch):
    monkeypatch.setattr(folding, "_AT_ONCE", 2)
    batch = made(tell)
    for _ in range(5):
        add(batch, work, "work")
    seal(batch)
    batches.follow()
    assert counts(batch)[:2] == ("running", 5)


def test_a_run_without_a_row_is_no_member(make_job, tell):
    flood = make_job(behave, name="tests.batches.flood", durable=False)
    with pytest.raises(BadOptions, match="durable"):
        add(made(tell), flood, "work")


def test_runs_of_no_batch_change_no_batch(work):
    work.enqueue("work")
    with CaptureQueriesContext(connection) as asked:
        drain()
    assert not [query for query in asked if 'UPDATE "jobs_batch"' in query["sql"]]


def test_a_prepared_call_is_plain_json_and_comes_back(work):
    told = work.using(queue="low", attempts=3, at=30).prepare("work").as_json()
    assert told == {
        "job": "tests.batches.work",
        "args": ["work"],
        "kwargs": {},
        "queue": "low",
        "attempts": 3,
        "delay": 30.0,
    }
    run = Prepared.of(told).enqueue()
    assert (run.queue, run.row().max_attempts, run.state) == ("low", 3, "scheduled")


def test_what_cannot_be_called_cannot_be_prepared(work):
    with pytest.raises(BadArguments):
        work.prepare("work", "more")
    with pytest.raises(BadOptions, match="fixed time"):
        work.using(at=timezone.now() + timedelta(days=1)).prepare("work").as_json()
    with pytest.raises(UnknownJob):
        Prepared.of({"job": "tests.batches.gone"})
