"""What happened is recorded, whatever else fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.db.models import Sum
from django.utils import timezone

from jobs import bulk, consequences, failpoints, recovery
from jobs.broker import journal, keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.errors import BrokerUnavailable
from jobs.models import BulkAction, DeadJob, JobAttempt, JobRun, MetricMinute
from jobs.models.bulk import BulkVerb
from jobs.recorder import successes
from jobs.worker import recording
from jobs.worker.recording import Recording
from tests.engine import attempt_next, hash_of, make_job
from tests.sample import jobs as sample
from tests.test_dead import a_dead_run

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("error", [BrokerUnavailable("no"), RuntimeError("no")])
def test_a_relay_that_fails_does_not_delay_what_is_recorded(error, monkeypatch, caplog):
    def fail():
        raise error

    monkeypatch.setattr(recording, "relay", fail)
    process = Recording()
    for _ in range(2):
        run = sample.add.enqueue(1, 2)
        attempt_next()
        process.turn()
        assert run.state == "succeeded"
    assert "not pushed for now: no" in caplog.text
    assert "not recorded" not in caplog.text


def test_the_log_has_one_line_for_an_outages_beginning_and_one_for_its_end(monkeypatch, caplog):
    def fail(owner, *, seconds):
        raise BrokerUnavailable("no")

    process = Recording()
    with monkeypatch.context() as away:
        away.setattr(journal, "take_over", fail)
        process.turn()
        process.turn()
    process.turn()
    process.turn()
    told = [record.getMessage() for record in caplog.records if record.name == "jobs.worker.recording"]
    assert told == ["what happened is not recorded for now: no", "what happened is recorded again"]


@pytest.mark.parametrize(
    ("error", "is_cured"),
    [
        (OperationalError("no such table: jobs_jobrun"), True),
        (ProgrammingError('relation "jobs_jobrun" does not exist'), True),
        (OperationalError("database is locked"), False),
    ],
)
def test_a_database_without_our_tables_is_told_with_the_cure(error, is_cured, monkeypatch, caplog):
    def fail(owner, *, seconds):
        raise error

    monkeypatch.setattr(journal, "take_over", fail)
    Recording().turn()
    assert f"not recorded for now: {error}" in caplog.text
    assert ('"manage.py migrate"' in caplog.text) == is_cured


def test_what_fails_again_and_again_is_passed_by_and_the_rest_is_recorded(monkeypatch, caplog):
    hurt, fine = sample.add.enqueue_many([(1, 2), (3, 4)])
    for _ in range(2):
        attempt_next()
    read = successes._end

    def fail(entry):
        if entry.data["run"] == str(hurt.id):
            raise SystemError("no")
        return read(entry)

    monkeypatch.setattr(successes, "_end", fail)
    process = Recording()
    for _ in range(4):
        process.turn()
    assert fine.state == "succeeded"
    assert hurt.state == "queued"
    assert journal_now().length == 0
    assert "what follows 0-0 in the journal cannot be recorded" in caplog.text


def test_the_connection_stays_from_one_transaction_to_the_next():
    process = Recording()
    process.turn()
    run = sample.add.enqueue(1, 2)
    attempt_next()
    connection.ensure_connection()
    before = connection.connection
    process.turn()
    assert run.state == "succeeded"
    assert connection.connection is before is not None


class Died(BaseException):
    """The process is gone at once: nothing catches it."""


@pytest.mark.parametrize("place", ["before_commit", "after_commit", "after_forget"])
def test_another_process_goes_on_where_one_died(place, monkeypatch, make_job):
    def fail():
        raise OSError("down")

    done, dead = sample.add.enqueue(1, 2), make_job(fail, retry=1).enqueue()
    for _ in range(2):
        attempt_next()

    def die(reached):
        if reached == place:
            raise Died

    with monkeypatch.context() as death:
        death.setattr(failpoints, "armed", True)
        death.setattr(failpoints, "reach", die)
        with pytest.raises(Died):
            Recording().turn()
    # Its life has ended.
    client().delete(keys.RECORDER)
    for _ in range(2):
        Recording().turn()
    assert (done.state, dead.state, journal_now().length) == ("succeeded", "dead", 0)
    assert hash_of(done.id) == {"life": "0", "status": "finished"}
    assert (JobAttempt.objects.count(), DeadJob.objects.count()) == (1, 1)
    sums = MetricMinute.objects.aggregate(*map(Sum, ("started", "succeeded", "dead")))
    assert list(sums.values()) == [2, 1, 1]


def test_it_asks_for_what_recovery_rules_want():
    a_dead_run(died=timedelta(hours=1), error_class="TimeoutError")
    rule = recovery.add("tests.*", actor="ann")
    Recording().turn()
    assert BulkAction.objects.get().rule == rule


def test_it_gives_a_bulk_action_that_has_lost_its_run_another_one():
    a_dead_run()
    bulk.ask(BulkVerb.REQUEUE, bulk.Selection(), actor="ann", reason="it is back")
    JobRun.objects.filter(name=bulk.JOB).delete()
    BulkAction.objects.update(touched_at=timezone.now() - timedelta(hours=1))
    Recording().turn()
    assert JobRun.objects.filter(name=bulk.JOB).count() == 1


def test_what_could_not_be_done_before_is_not_tried_at_each_turn(monkeypatch):
    asked = []
    monkeypatch.setattr(consequences, "follow", lambda *, again: asked.append(again) or 0)
    process = Recording()
    for now in (100.0, 100.1, 100.9, 101.2):
        process._follow(now)
    assert asked == [True, False, False, True]
