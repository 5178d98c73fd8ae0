"""A database that is away burns no attempt, and stops no job that does not need it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper

from jobs import RetryPolicy, fixed, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.schedule import tick
from jobs.models import JobAttempt
from jobs.worker import outage
from tests.engine import attempt_next, work_off
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def breakers() -> Iterator[None]:
    outage.forget()
    yield
    outage.forget()


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def needy(make_job, calls):
    """A job that uses the database, as far as an outage shows."""

    def need() -> None:
        calls.append("called")
        if connection.settings_dict["NAME"] == AWAY:
            raise OperationalError("server closed the connection unexpectedly")

    return make_job(need, retry=RetryPolicy(attempts=1))


AWAY = "/nowhere/at/all"


@pytest.fixture
def take_away(monkeypatch) -> Callable[[], None]:
    """Let every new connection fail, as when the server is stopped."""
    return lambda: monkeypatch.setitem(connection.settings_dict, "NAME", AWAY)


def again() -> None:
    """Make everything due now."""
    for run_id in client().zrange(keys.scheduled("default"), 0, -1):
        client().zadd(keys.scheduled("default"), {run_id: 0})
    tick([], ["default"])


def test_an_outage_burns_no_attempt_and_the_run_succeeds_afterwards(needy, take_away, monkeypatch, calls):
    run = needy.enqueue()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", AWAY)
        settlement = attempt_next()
    assert settlement.entry is not None
    assert (settlement.entry["outcome"], settlement.entry["verdict"]) == ("database away", "put off")
    recorder.record_all()
    assert (run.state, run.row().attempts) == ("scheduled", 0)
    monkeypatch.setattr(outage, "_PROBE_SECONDS", 0)
    outage._breaker("default")._probe_at = 0.0
    again()
    work_off()
    assert (run.state, run.row().attempts) == ("succeeded", 1)
    assert calls == ["called", "called"]


def test_jobs_that_failed_in_the_outage_are_put_off_untried_and_told_of_once(needy, take_away, calls):
    first, second = needy.enqueue(), needy.enqueue()
    take_away()
    told = [attempt_next().entry is not None, attempt_next().entry is not None]
    again()
    told += [attempt_next().entry is not None, attempt_next().entry is not None]
    assert calls == ["called"]
    assert told == [True, True, False, False]
    assert journal_now().length == 2
    assert first.id != second.id


def test_a_job_that_needs_no_database_goes_on(needy, take_away):
    needy.enqueue()
    sample.flood.enqueue(1)
    take_away()
    assert [attempt_next().where for _ in range(2)] == ["later", "gone"]


def test_an_error_of_a_database_that_answers_counts_as_an_attempt(make_job):
    def fail() -> None:
        raise OperationalError("no such table: shop")

    run = make_job(fail, retry=RetryPolicy(attempts=2, backoff=fixed(60))).enqueue()
    assert attempt_next().entry["verdict"] == "retry"
    recorder.record_all()
    assert run.row().attempts == 1


def test_another_error_does_not_ask_the_database(make_job, take_away):
    def fail() -> None:
        raise ValueError("no")

    make_job(fail, retry=RetryPolicy(attempts=2, backoff=fixed(60))).enqueue()
    take_away()
    assert attempt_next().entry["verdict"] == "retry"


def test_an_error_that_the_outage_caused_is_an_outage_too(make_job, take_away):
    def fail() -> None:
        try:
            raise OperationalError("server closed the connection unexpectedly")
        except OperationalError as error:
            raise ValueError("the order cannot be read") from error

    make_job(fail, retry=RetryPolicy(attempts=1)).enqueue()
    take_away()
    assert attempt_next().entry["verdict"] == "put off"


def test_a_caller_with_a_transaction_open_is_not_asked_to_connect_anew(take_away):
    with transaction.atomic():
        take_away()
        assert outage.outcome_of(OperationalError("no"), "shop.a") is None


def test_a_locked_sqlite_is_away(tmp_path, monkeypatch):
    own = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "own.sqlite3"), "OPTIONS": {}}
    wrapper = DatabaseWrapper({**connection.settings_dict, **own}, alias="own")
    monkeypatch.setattr(outage, "connections", {"own": wrapper})
    monkeypatch.setattr(outage, "_PATIENCE_SECONDS", 0.1)
    holder = sqlite3.connect(own["NAME"])
    holder.execute("BEGIN IMMEDIATE")
    try:
        found = outage.outcome_of(OperationalError("database is locked"), "shop.a")
    finally:
        holder.rollback()
        holder.close()
    assert found is not None
    outage.forget()
    assert outage.outcome_of(OperationalError("database is locked"), "shop.a") is None


def test_the_breaker_says_when_it_opens_and_when_it_closes(take_away, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "NAME", AWAY)
        assert outage.outcome_of(OperationalError("no"), "shop.a") is not None
        assert outage.expected("shop.a") is not None
    assert outage.expected("shop.b") is None
    outage._breaker("default")._probe_at = 0.0
    assert outage.expected("shop.a") is None
    assert [record.message.split(" (")[0] for record in caplog.records if record.name == "jobs.worker.outage"] == [
        'the database "default" does not answer',
        'the database "default" answers again, after 0 s',
    ]
    assert not JobAttempt.objects.exists()
