"""Batches are looked at, cancelled, retried, proved and pruned; each change leaves an audit row."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import batches
from jobs.batches import BadBatch, BatchCancelled, batch, following
from jobs.models import AuditEntry, Batch, BatchSlice, DeadJob, JobRun
from jobs.registry import Placed, Placing
from jobs.testing import drain
from tests.engine import make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def is_broken():
    return []


@pytest.fixture
def work(make_job, is_broken):
    def work(number):
        if is_broken:
            raise ValueError("no")

    return make_job(work, name="tests.batches.work", retry=1)


@pytest.fixture
def told():
    return []


@pytest.fixture
def tell(make_job, told):
    return make_job(lambda word: told.append(word), name="tests.batches.tell")


def numbers(count):
    return [(number,) for number in range(count)]


def filled(work, count=3, **options):
    with batch("Newsletter", **options) as b:
        b.enqueue_many(work, numbers(count))
    return b.row()


def again(row):
    row.refresh_from_db()
    return row


def test_progress_tells_of_members_by_state_and_changes_nothing(work):
    row = filled(work, 5)
    b = batches.get(row.pk)
    drain()
    with batch("Other") as other:
        other.enqueue_many(work, numbers(4))
        other.enqueue_many(work.using(at=3600), numbers(2))
        with CaptureQueriesContext(connection) as asked:
            told = batches.progress(other.row())
    assert (told.state, told.total, told.done, told.pending, told.share) == ("filling", 6, 0, 6, 0.0)
    assert (told.counts["queued"], told.counts["scheduled"]) == (4, 2)
    assert told.seconds_left == pytest.approx(3600, abs=20)
    assert len(asked) <= 8
    assert all(query["sql"].startswith("SELECT") for query in asked)
    ended = batches.progress(b)
    assert (ended.state, ended.done, ended.share, ended.counts["succeeded"]) == ("succeeded", 5, 1.0, 5)
    assert (ended.seconds_left, ended.rate) == (0.0, 0.0)


def test_progress_guesses_what_is_left_by_what_ended_lately(work):
    row = filled(work, 4)
    Batch.objects.update(created_at=timezone.now() - timedelta(seconds=10))
    first, second, *_ = JobRun.objects.filter(name=work.name)
    for run, ago in ((first, 5), (second, 300)):
        ended_at = timezone.now() - timedelta(seconds=ago)
        JobRun.objects.filter(pk=run.pk).update(state="succeeded", ended_at=ended_at)
    Batch.objects.update(succeeded=2)
    told = batches.progress(row)
    assert told.rate == pytest.approx(0.1, rel=0.1)
    assert told.seconds_left == pytest.approx(20, rel=0.1)


def test_slices_that_are_due_later_are_waited_for(work):
    row = filled(work, 3, slice=1, every=timedelta(minutes=10))
    assert batches.progress(row).seconds_left == pytest.approx(1200, abs=20)


def test_no_batch_is_found_by_a_wrong_name():
    for wrong in (17, "newsletter:17"):
        with pytest.raises(BadBatch, match="There is no batch"):
            batches.get(wrong)


def test_a_cancelled_batch_ends_without_success(work, tell, told):
    with batch("Newsletter", on_success=tell.prepare("well"), on_complete=tell.prepare("over")) as b:
        with b.batch("inner", on_complete=tell.prepare("inner")) as inner:
            inner.enqueue(work, 1)
        b.enqueue_many(work, numbers(3))
    batches.cancel(b.row(), actor="ann", reason="the wrong issue", address="1.2.3.4")
    drain()
    row = b.row()
    assert (row.state, row.cancelled, row.why, inner.row().state) == (
        "cancelled",
        3,
        "ann: the wrong issue",
        "cancelled",
    )
    assert sorted(told) == ["inner", "over"]
    entry = AuditEntry.objects.get(action="batch cancel", target=f"batch {row.pk}")
    assert (entry.actor, entry.reason, entry.address) == ("ann", "the wrong issue", "1.2.3.4")
    with pytest.raises(BadBatch, match="nothing to cancel"):
        batches.cancel(row, actor="ann", reason="again")


def test_what_is_added_to_a_cancelled_batch_is_refused_quietly(work, make_job):
    def fill():
        batches.cancel(batches.current().row(), actor="ann", reason="enough")
        batches.current().enqueue_many(work, numbers(3))

    filler = make_job(fill, name="tests.batches.fill", retry=1)
    b = batches.start("Newsletter", filler.prepare())
    assert drain().counts == {"discard": 1, "done": 1}
    assert (b.row().state, b.row().total, DeadJob.objects.count()) == ("cancelled", 1, 0)
    with pytest.raises(BatchCancelled):
        b.enqueue(work, 1)


def test_what_was_added_while_a_batch_was_cancelled_is_taken_back_too(work):
    row = filled(work, 2)
    batches.cancel(row, actor="ann", reason="enough")
    drain()
    assert again(row).state == "cancelled"
    # As by somebody whose transaction began before.
    Placed(work, Placing(batch=row.pk, at=timedelta(hours=1))).enqueue_many(numbers(3))
    batches.look_after()
    drain()
    assert (again(row).state, row.total, row.cancelled) == ("cancelled", 5, 5)


def test_the_failed_are_retried_also_of_batches_within(work, is_broken, tell, told):
    is_broken.append(True)
    with batch("Newsletter", on_success=tell.prepare("well"), on_death=tell.prepare("death")) as b:
        with b.batch("inner") as inner:
            inner.enqueue(work, 1)
        b.enqueue_many(work, numbers(2))
    work.enqueue("of no batch")
    tell.enqueue("other")
    drain()
    assert (b.row().state, b.row().dead, inner.row().dead) == ("failed", 2, 1)
    is_broken.clear()
    action, is_new = batches.retry_failed(b.row(), actor="ann", reason="mended")
    assert (action.total, is_new) == (3, True)
    drain(due=True)
    assert (b.row().state, b.row().dead, b.row().succeeded, inner.row().state) == ("succeeded", 0, 2, "succeeded")
    assert sorted(told) == ["death", "other", "well"]
    assert DeadJob.objects.filter(resolution="").count() == 1


def test_a_death_within_is_told_by_what_is_around_it(work, is_broken, tell, told):
    is_broken.append(True)
    with batch("Newsletter", on_death=tell.prepare("death")) as b:
        with b.batch("inner") as inner, inner.batch("innermost") as innermost:
            innermost.enqueue(work, 1)
        drain()
        batches.follow()
        assert b.row().death_told_at
    drain()
    assert (b.row().state, told) == ("failed", ["death"])


def test_counts_are_proved_and_mended(work, is_broken, tell, told):
    rows = [filled(work, 3), filled(work, 2, on_success=tell.prepare("well"))]
    assert list(batches.check_all()) == []
    drain()
    assert list(batches.check_all()) == []
    broken = rows[1]
    Batch.objects.filter(pk=broken.pk).update(succeeded=1, state="running", success_told_at=None)
    (difference,) = batches.check_all()
    assert (difference.batch, difference.counted["pending"], difference.found["succeeded"]) == (broken.pk, 1, 2)
    assert batches.repair(broken, actor="ann", reason="a restored backup")
    assert not batches.repair(broken, actor="ann", reason="again")
    drain()
    assert (again(broken).state, broken.succeeded) == ("succeeded", 2)
    assert AuditEntry.objects.filter(action="batch repair").count() == 1


def test_members_without_rows_are_no_mistake(work):
    row = filled(work, 3)
    drain()
    JobRun.objects.filter(pk=JobRun.objects.filter(batch=row.pk).first().pk).delete()
    assert batches.check(row) is None
    Batch.objects.update(succeeded=F("succeeded") - 1)
    assert batches.check(row).gone == 1
    assert not batches.repair(row, actor="ann", reason="nobody knows")


def test_old_batches_go_with_their_slices_and_not_before_those_around_them(work):
    with batch("Newsletter") as b:
        with b.batch("inner") as inner:
            inner.enqueue(work, 1)
        b.enqueue(work, 2)
    filled(work)
    drain()
    assert not batches.is_anything_prunable()
    long_ago = timezone.now() - timedelta(days=91)
    Batch.objects.filter(pk=inner.id).update(ended_at=long_ago)
    assert batches.prune() == 0
    Batch.objects.filter(pk=b.id).update(ended_at=long_ago)
    assert batches.is_anything_prunable()
    assert batches.prune() == 2
    assert (Batch.objects.count(), BatchSlice.objects.count(), JobRun.objects.count()) == (1, 1, 5)


def test_a_batch_that_nobody_goes_on_to_fill_is_told_of_once(work, caplog):
    with batch("Newsletter") as b:
        b.enqueue(work, 1)
        long_ago = timezone.now() - timedelta(hours=1)
        Batch.objects.update(created_at=long_ago)
        assert batches.look_after() == 0
        BatchSlice.objects.update(created_at=long_ago)
        assert (batches.look_after(), batches.look_after()) == (1, 0)
        assert "it is not filled" in b.row().trouble
        assert "it is not filled" in caplog.text
    drain()
    assert (b.row().state, b.row().trouble) == ("succeeded", "")


def test_members_that_come_while_they_are_counted_are_no_difference(work):
    with batch("Newsletter") as b:
        b.enqueue_many(work, numbers(3))
        come = []

        def add(execute, sql, *rest):
            answer = execute(sql, *rest)
            if "jobs_batchslice" in sql and not come:
                come.append(1)
                b.enqueue_many(work, numbers(2))
            return answer

        for look in (batches.check, lambda row: batches.repair(row, actor="ann", reason="was it wrong?")):
            come.clear()
            with connection.execute_wrapper(add):
                assert not look(b.row())
    drain()
    row = b.row()
    assert (row.state, row.total, row.succeeded) == ("succeeded", 7, 7)


def test_ends_that_old_code_recorded_are_counted_by_who_looks_after_batches(work, tell, told):
    row = filled(work, on_success=tell.prepare("success"))
    batches.follow()
    # As a release does that knows no batches.
    JobRun.objects.update(state="succeeded", ended_at=timezone.now())
    drain()
    batches.look_after()
    drain()
    again(row)
    assert (row.state, row.succeeded, told) == ("succeeded", 3, ["success"])
    assert AuditEntry.objects.get(action="batch repair").actor == "batch monitor"


# Rows that somebody edited by hand.


def test_a_callback_that_cannot_be_read_holds_up_no_other_and_is_told_of_once(work, tell, told, caplog):
    row = filled(work, count=0, on_complete=tell.prepare("complete"), on_success=tell.prepare("success"))
    Batch.objects.filter(pk=row.pk).update(on_complete={"token": "s3cret"})
    for _ in range(3):
        batches.follow()
    drain()
    again(row)
    assert (row.state, row.ripe, told) == ("succeeded", True, ["success"])
    assert row.trouble == "on_complete cannot be enqueued: KeyError: 'job'"
    assert caplog.text.count("on_complete cannot be enqueued") == 1
    # It is mended, and followed.
    Batch.objects.filter(pk=row.pk).update(on_complete=tell.prepare("complete").as_json())
    batches.follow()
    drain()
    again(row)
    assert (row.trouble, told) == ("", ["success", "complete"])


def test_a_batch_that_cannot_be_seen_to_is_told_of_once_and_left_to_those_in_trouble(work, monkeypatch, caplog):
    def fail(batch):
        raise ValueError("token=s3cret \0")

    row = filled(work, count=0)
    with monkeypatch.context() as broken:
        broken.setattr(following, "standing_of", fail)
        for _ in range(3):
            batches.follow(again=False)
            batches.follow()
    again(row)
    assert row.trouble == "ValueError: token=[redacted] "
    assert caplog.text.count("cannot be seen to") == 1
    batches.follow()
    again(row)
    assert (row.state, row.trouble) == ("succeeded", "")


def test_of_very_many_in_trouble_some_are_tried_at_a_time_and_all_have_their_turn(monkeypatch):
    Batch.objects.bulk_create([Batch(name="x", ripe=True, trouble="no") for _ in range(25)])
    tried = []
    monkeypatch.setattr(following, "_AT_ONCE", 10)
    monkeypatch.setattr(following, "_tried_up_to", 0)
    monkeypatch.setattr(following, "_guarded", lambda pk: tried.append(pk) or False)
    for _ in range(5):
        batches.follow()
    keys = sorted(Batch.objects.values_list("pk", flat=True))
    assert tried == keys + keys
