"""Users' test suites see batches without rows, in `fake` and in `inline`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from jobs import batches
from jobs.batches import BatchFilled, batch
from jobs.models import Batch
from jobs.testing import fake, inline
from tests.engine import make_job

__all__ = ["make_job"]


@pytest.fixture
def told():
    return []


@pytest.fixture
def work(make_job, told):
    def work(number):
        if number < 0:
            raise ValueError("no")
        told.append(number)

    return make_job(work, name="tests.batches.work", retry=1)


@pytest.fixture
def tell(make_job, told):
    return make_job(lambda word: told.append(word), name="tests.batches.tell")


def fill(work, tell, *numbers, **options):
    with batch("Newsletter", on_success=tell.prepare("well"), on_complete=tell.prepare("over"), **options) as b:
        b.enqueue_many(work, [(number,) for number in numbers], once="all")
    return b


def test_a_fake_batch_lists_its_members_and_needs_no_database(work, tell, told):
    with fake() as jobs:
        fill(work, tell, 1, 2, 3, key="n")
        tell.enqueue("other")
        again = fill(work, tell, 1, 2, 3, key="n")
    assert again.is_filled
    assert [one.arguments["number"] for one in jobs.assert_batch("Newsletter", size=3, key="n").enqueued] == [1, 2, 3]
    assert len(jobs.enqueued) == 4
    assert told == []
    for wrong in ({"size": 2}, {"key": "m"}):
        with pytest.raises(AssertionError, match="was not filled so"):
            jobs.assert_batch("Newsletter", **wrong)


def test_a_fake_batch_takes_no_more_when_it_was_filled(work, tell):
    with fake():
        b = fill(work, tell, 1, key="n")
        with pytest.raises(BatchFilled):
            b.enqueue(work, 2)


def test_slices_of_a_fake_batch_are_due_one_after_the_other(work):
    with fake() as jobs, batch("Newsletter", slice=2, every=timedelta(minutes=10)) as b:
        b.enqueue_many(work, [(number,) for number in range(5)])
    minutes = [round(one.delay.total_seconds() / 60) for one in jobs.enqueued]
    assert minutes == [0, 0, 10, 10, 20]


@pytest.mark.django_db
def test_members_run_inline_and_what_is_called_back_follows(work, tell, told):
    with inline() as jobs:
        fill(work, tell, 1, 2)
        assert told == [1, 2, "over", "well"]
    (made,) = jobs.batches
    assert (made.row.state, made.row.total, made.row.succeeded, len(made.enqueued)) == ("succeeded", 2, 2, 2)
    assert not Batch.objects.exists()


@pytest.mark.django_db
def test_inline_members_wait_for_the_commit(work, tell, told):
    with inline():
        with transaction.atomic():
            fill(work, tell, 1)
            assert told == []
        assert told == [1, "over", "well"]


@pytest.mark.django_db
def test_inline_members_that_fail_are_as_dead(work, tell, told):
    with inline(errors="keep") as jobs, batch("Newsletter", on_death=tell.prepare("death")) as b:
        with b.batch("inner", on_complete=tell.prepare("over")) as inner:
            inner.enqueue(work, -1)
        b.enqueue(work, 1)
    assert told == ["over", "death", 1] or told == ["death", "over", 1]
    assert [one.row.state for one in jobs.batches] == ["failed", "failed"]


@pytest.mark.django_db
def test_an_inline_member_adds_members(work, tell, told, make_job):
    add = make_job(lambda: batches.current().enqueue(work, 7) and None, name="tests.batches.add")
    with inline():
        batches.start("Newsletter", add.prepare(), on_success=tell.prepare("well"))
    assert told == [7, "well"]


@pytest.mark.django_db
def test_inline_slices_wait_until_they_are_due(work, tell, told):
    with inline() as jobs:
        with batch("Newsletter", slice=1, every=timedelta(minutes=10), on_success=tell.prepare("well")) as b:
            b.enqueue_many(work, [(1,), (2,)])
        assert told == [1]
        jobs.run_due()
    assert told == [1, 2, "well"]
