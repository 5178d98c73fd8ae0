"""Batches are filled by slices, go on by their key, and cancel what waits when what fills them raises."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import DiscardJob, batches
from jobs.batches import BadBatch, BatchFilled, batch
from jobs.errors import BadArguments
from jobs.models import AuditEntry, Batch, BatchSlice, JobRun
from jobs.testing import drain
from tests.engine import make_job

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def done():
    return []


@pytest.fixture
def work(make_job, done):
    def work(number):
        if number == "nothing to do":
            raise DiscardJob
        if number == "fail":
            raise ValueError("no")
        done.append(number)

    return make_job(work, name="tests.batches.work", retry=1)


@pytest.fixture
def told():
    return []


@pytest.fixture
def tell(make_job, told):
    return make_job(lambda *words: told.append(words), name="tests.batches.tell")


def numbers(count):
    return ((number,) for number in range(count))


def test_a_batch_ends_with_its_members_and_tells_so_once(work, done, tell, told):
    with batch("Newsletter", on_success=tell.prepare("success"), on_complete=tell.prepare("complete")) as b:
        b.enqueue(work, "first")
        assert b.enqueue_many(work, numbers(3)) == 3
        b.add(work.prepare("nothing to do"))
    drain()
    drain()
    row = b.row()
    assert (row.state, row.total, row.succeeded, row.discarded) == ("succeeded", 5, 4, 1)
    assert done == ["first", 0, 1, 2]
    assert told == [("complete",), ("success",)]


def test_each_slice_is_there_before_the_next_is_read(work):
    seen = []

    def calls():
        for number in range(5):
            seen.append(JobRun.objects.count())
            yield (number,)

    with batch("Newsletter", slice=2) as b:
        assert b.enqueue_many(work, calls()) == 5
    assert seen == [0, 0, 2, 2, 4]


def test_in_a_transaction_all_are_there_or_none(work):
    with suppress(SystemExit), transaction.atomic(), batch("Newsletter", slice=2) as b:
        b.enqueue_many(work, numbers(5))
        raise SystemExit
    assert (Batch.objects.count(), BatchSlice.objects.count(), JobRun.objects.count()) == (0, 0, 0)


def test_who_is_refused_goes_on_with_the_transaction(work):
    with transaction.atomic(), batch("Newsletter") as b:
        with pytest.raises(BadArguments):
            b.enqueue(work)
        with pytest.raises(BadArguments):
            b.enqueue_many(work, [(1,), ()], once="first")
        assert b.enqueue_many(work, numbers(2), once="first") == 2
    drain()
    assert (b.row().state, b.row().total) == ("succeeded", 2)


@pytest.mark.django_db
def test_a_test_that_never_commits_can_fill_too(work):
    with batch("Newsletter", slice=2) as b:
        assert b.enqueue_many(work, numbers(3)) == 3
        with pytest.raises(BadArguments):
            b.enqueue(work)
    assert b.pending() == 3


def test_slices_are_due_one_after_the_other_whoever_adds_them(work):
    now = timezone.now()

    def fill():
        with batch("Newsletter", key="newsletter", slice=2, every=timedelta(minutes=10)) as b:
            b.enqueue_many(work, numbers(3))
            if JobRun.objects.count() == 3:
                raise SystemExit

    with pytest.raises(SystemExit):
        fill()
    fill()
    dues = list(BatchSlice.objects.order_by("pk").values_list("due_at", flat=True))
    minutes = [None if due is None else round((due - now).total_seconds() / 60) for due in dues]
    assert minutes == [None, 10, 20, 30]


def test_a_block_that_raises_cancels_what_waits(work, done, tell, told, caplog):
    with suppress(SystemExit), batch("Newsletter", on_success=tell, on_complete=tell.prepare("over")) as b:
        b.enqueue_many(work, numbers(3))
        raise SystemExit
    drain()
    row = b.row()
    assert (row.state, row.total, row.cancelled, done, told) == ("cancelled", 3, 3, [], [("over",)])
    assert "SystemExit" in row.why
    assert "cancelled, for what filled it raised" in caplog.text
    assert AuditEntry.objects.filter(action="batch cancel", target=f"batch {row.pk}").count() == 1


def test_a_block_that_raises_with_a_key_is_gone_on_with(work, done):
    for attempt in (1, 2):
        try:
            with batch("Newsletter", key="newsletter:17") as b:
                b.enqueue_many(work, numbers(3), once="first")
                if attempt == 1:
                    raise SystemExit
                assert b.enqueue_many(work, [(3,)], once="second") == 1
        except SystemExit:
            drain()
    drain()
    row = b.row()
    assert (row.state, row.total, row.succeeded) == ("succeeded", 4, 4)
    assert sorted(done) == [0, 1, 2, 3]


def test_what_is_filled_takes_no_more_from_outside(work):
    with batch("Newsletter", key="newsletter:17") as b:
        assert not b.is_filled
        b.enqueue_many(work, numbers(3), once="all")
    with batch("Newsletter", key="newsletter:17") as again:
        assert again.is_filled
        assert again.id == b.id
        assert again.enqueue_many(work, numbers(3), once="all") == 0
        with pytest.raises(BatchFilled, match="is_filled"):
            again.enqueue(work, 1)
        with pytest.raises(BatchFilled):
            again.enqueue_many(work, numbers(3), once="others")
    assert b.row().total + sum(BatchSlice.objects.filter(folded=False).values_list("members", flat=True)) == 3


def test_members_add_members_to_what_is_filled(make_job, work, done, tell, told):
    def fill(start):
        batches.current().enqueue_many(work, [(start + 1,), (start + 2,)], once=f"from {start}")

    filler = make_job(fill, name="tests.batches.fill")
    b = batches.start("Newsletter", filler.prepare(0), filler.prepare(10), key="n", on_success=tell.prepare("success"))
    assert batches.start("Newsletter", filler.prepare(0), key="n").id == b.id
    drain()
    assert (b.row().state, b.row().total, sorted(done)) == ("succeeded", 6, [1, 2, 11, 12])
    assert told == [("success",)]


def test_members_space_what_they_add(make_job, work, done):
    def fill():
        for first in (1, 2, 3):
            batches.current().enqueue_many(work, [(first,)], once=f"from {first}", every=timedelta(hours=1))

    filler = make_job(fill, name="tests.batches.fill")
    batches.start("Newsletter", filler.prepare())
    drain()
    assert done == []
    due = BatchSlice.objects.exclude(due_at=None).order_by("due_at").values_list("due_at", flat=True)
    assert [later - earlier for earlier, later in pairwise(due)] == [timedelta(hours=1)] * 2


@pytest.mark.parametrize("option", [{"slice": 10}, {"every": timedelta(seconds=1)}])
def test_a_pace_that_nobody_would_keep_is_refused(work, option):
    with pytest.raises(BadBatch, match=rf"current\(\)\.enqueue_many\(…, {next(iter(option))}=…\)"):
        batches.start("Newsletter", work.prepare(1), **option)
    assert not Batch.objects.exists()


def test_there_is_no_current_batch_outside_of_one(make_job):
    seen = []
    look = make_job(lambda: seen.append(batches.current()), name="tests.batches.look")
    look.enqueue()
    drain()
    assert seen == [batches.current()] == [None]


def test_a_batch_within_one_is_waited_for(work, tell, told):
    with batch("Newsletter", on_success=tell.prepare("outer")) as b:
        with b.batch("inner", on_success=tell.prepare("inner")) as inner:
            inner.enqueue(work, 1)
        b.enqueue(work, 2)
    drain()
    assert told == [("inner",), ("outer",)]


def test_a_job_is_told_of_the_batch_that_calls_it(work, make_job):
    told = []
    tell = make_job(lambda ended: told.append(ended), name="tests.batches.tell_facts")
    with batch("Newsletter", key="n", on_death=tell, on_complete=tell) as b:
        b.enqueue(work, "fail")
        b.enqueue(work, 1)
    drain()
    assert [(facts["event"], facts["dead"], facts["key"], facts["batch"]) for facts in told] == [
        ("death", 1, "n", b.id),
        ("complete", 1, "n", b.id),
    ]
    assert (told[-1]["state"], told[-1]["total"], told[-1]["succeeded"]) == ("failed", 2, 1)


def test_what_cannot_be_is_refused_at_once(work, make_job):
    flood = make_job(lambda: None, name="tests.batches.flood", durable=False)
    pair = make_job(lambda left, right: None, name="tests.batches.pair")
    for options in (
        {"name": ""},
        {"name": "a", "key": "x" * 201},
        {"name": "a", "slice": 0},
        {"name": "a", "slice": 1001},
        {"name": "a", "every": 10},
        {"name": "a", "every": timedelta(0)},
        {"name": "a", "on_success": "tests.batches.work"},
        {"name": "a", "on_success": flood},
        {"name": "a", "on_death": pair},
    ):
        with pytest.raises(BadBatch):
            batch(**options)
    with batch("Newsletter") as b:
        with pytest.raises(BadArguments):
            b.enqueue(work)
        with pytest.raises(BadBatch, match="is no job"):
            b.enqueue("tests.batches.work")
        with pytest.raises(BadBatch, match="a time of its own"):
            b.enqueue_many(work.using(at=60), numbers(3), every=timedelta(seconds=1))
    assert b.row().sealed_at


def test_an_equal_run_of_a_unique_job_is_no_member(make_job):
    once = make_job(lambda number: None, name="tests.batches.once", unique="args")
    once.enqueue(1)
    with batch("Newsletter") as b:
        assert b.enqueue_many(once, [(1,), (2,), (2,)]) == 1
        assert b.enqueue(once, 1).created is False
    drain()
    assert (b.row().state, b.row().total, b.row().succeeded) == ("succeeded", 1, 1)
