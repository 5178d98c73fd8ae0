"""What one transaction asks for is pushed together after its commit, and what is rolled back is not."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from django.test import TestCase

from jobs import outbox, spool
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobRun
from jobs.signals import job_enqueued
from tests.engine import make_job, places
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


class Rollback(Exception):
    pass


@contextlib.contextmanager
def rolled_back(*, savepoint: bool = True) -> Iterator[None]:
    with contextlib.suppress(Rollback), transaction.atomic(savepoint=savepoint):
        yield
        raise Rollback


def scripts_run() -> int:
    return client().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)


def waiting() -> list[str]:
    return [run_id.decode() for run_id in client().lrange(keys.queue("default"), 0, -1)]


def ask() -> str:
    return str(sample.add.enqueue(1, 2).id)


def test_a_transaction_pushes_all_it_asked_for_in_one_call():
    ask()
    before = scripts_run()
    with transaction.atomic():
        asked = [ask() for _ in range(100)]
        asked += [str(run.id) for run in sample.add.enqueue_many([(1, 2)] * 20)]
    assert waiting()[1:] == asked
    assert scripts_run() - before == 1


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_along():
    with transaction.atomic():
        asked = [ask()]
        with rolled_back():
            ask()
        asked += [ask()]
        with transaction.atomic():
            asked += [ask()]
            with rolled_back():
                ask()
                with transaction.atomic():
                    ask()
            asked += [ask()]
        asked += [ask()]
        with rolled_back():
            with transaction.atomic():
                ask()
            ask()
    assert sorted(waiting()) == sorted(asked)
    assert sorted(JobRun.objects.values_list("rq_id", flat=True)) == sorted(asked)


def test_a_savepoint_that_is_rolled_back_by_hand_takes_its_own_along():
    with transaction.atomic():
        first = ask()
        by_hand = transaction.get_connection().savepoint()
        ask()
        sample.add.enqueue_many([(1, 2)] * 20)
        transaction.savepoint_rollback(by_hand)
        last = ask()
    assert waiting() == [first, last]
    with transaction.atomic():
        by_hand = transaction.get_connection().savepoint()
        ask()
        transaction.savepoint_rollback(by_hand)
    assert waiting() == [first, last]


def test_what_joined_a_savepoint_after_its_release_goes_with_what_is_around_it():
    with transaction.atomic():
        with rolled_back():
            with transaction.atomic():
                ask()
            ask()
        kept = ask()
    assert waiting() == [kept]


def test_a_transaction_does_not_push_what_the_one_before_it_asked_for_and_rolled_back():
    block = transaction.atomic()
    with contextlib.suppress(Rollback), block:
        ask()
        raise Rollback
    with block:
        kept = ask()
    assert waiting() == [kept]


def test_a_block_without_a_savepoint_that_fails_takes_everything_along():
    with transaction.atomic():
        ask()
        with rolled_back(savepoint=False):
            ask()
        transaction.set_rollback(True)
    assert waiting() == []
    assert not JobRun.objects.exists()


def test_other_callbacks_of_the_commit_keep_their_order():
    happened = []
    with transaction.atomic():
        transaction.on_commit(lambda: happened.append(("before", len(waiting()))))
        ask()
        ask()
        transaction.on_commit(lambda: happened.append(("between", len(waiting()))))
        ask()
        transaction.on_commit(lambda: happened.append(("after", len(waiting()))))
    assert happened == [("before", 0), ("between", 2), ("after", 3)]


def test_a_callback_of_the_commit_that_fails_leaves_what_it_hides_to_the_relay():
    def fail() -> None:
        raise Rollback

    def ask_after_failing() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            asked.append(ask())

    asked: list[str] = []
    with pytest.raises(Rollback):
        ask_after_failing()
    assert waiting() == []
    assert [JobRun.objects.get().rq_id] == asked


def test_a_callback_of_the_commit_may_ask_for_more():
    with transaction.atomic():
        transaction.on_commit(ask)
        ask()
    assert len(waiting()) == 2


def test_runs_with_and_without_rows_go_together(make_job):
    flood = make_job(lambda: None, durable=False)
    with transaction.atomic():
        runs = [sample.add.enqueue(1, 2), flood.enqueue(), sample.add.using(queue="low").enqueue(1, 2)]
    assert [places(run.id) for run in runs] == [["queued:default"], ["queued:default"], ["queued:low"]]
    assert JobRun.objects.count() == 2


def test_listeners_hear_of_what_a_queue_took_and_the_log_of_what_it_refused(caplog):
    client().set(keys.queue("low"), "in use")
    heard = []

    def listen(sender, run_ids, **facts):
        heard.append((sender, run_ids))

    job_enqueued.connect(listen)
    try:
        with caplog.at_level(logging.WARNING, "jobs.outbox"), transaction.atomic():
            fine = sample.add.enqueue(1, 2)
            refused = sample.add.using(queue="low").enqueue(1, 2)
    finally:
        job_enqueued.disconnect(listen)
    assert heard == [("tests.sample.add", [str(fine.id)])]
    assert [record.run for record in caplog.records] == [str(refused.id)]


class TestInATestCase(TestCase):
    def test_what_is_captured_is_what_was_asked_for_meanwhile(self):
        with self.captureOnCommitCallbacks(execute=True) as first:
            one = ask()
        with self.captureOnCommitCallbacks(execute=True) as second:
            other, another = ask(), ask()
        assert (len(first), len(second)) == (1, 2)
        assert waiting() == [one, other, another]


def test_a_spool_gives_back_what_it_took_in_memory_and_in_its_file(monkeypatch):
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 10)
    kept = spool.Spool()
    values = [["a", 1], ["b", None], ["c\n", "\u00e9"]]
    for value in values:
        kept.add(value, characters=6)
    assert list(kept) == values
    kept.add(["d"], characters=1)
    assert list(kept) == [*values, ["d"]]


def test_a_full_disk_refuses_what_does_not_fit_into_memory_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 10)
    monkeypatch.setattr(spool, "TemporaryFile", lambda: Path("/dev/full").open("w+b"))  # noqa: SIM115
    with pytest.raises(OSError, match="No space left"):
        sample.add.enqueue_many([(1, 2)] * 20)
    assert (JobRun.objects.count(), waiting()) == (0, [])


def test_what_does_not_fit_into_memory_is_pushed_as_well(monkeypatch):
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 1000)
    monkeypatch.setattr(outbox, "_RUNS_AT_ONCE", 1500)
    runs = sample.add.enqueue_many((number, number) for number in range(4321))
    assert waiting() == [str(run.id) for run in runs]
    assert JobRun.objects.count() == 4321
