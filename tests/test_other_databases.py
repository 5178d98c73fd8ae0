"""Enqueueing while the transaction of another database is open: the run comes when that one commits, or never."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.db.utils import DatabaseError

from jobs import at_once, enqueueing
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.errors import BadArguments
from jobs.models import JobRun
from tests.engine import make_job, places, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

METHODS = {
    "enqueue": lambda job: [job.enqueue(1, 2)],
    "enqueue_in": lambda job: [job.enqueue_in(timedelta(hours=1), 1, 2)],
    "enqueue_many": lambda job: job.enqueue_many([(1, 2), {"left": 3, "right": 4}]),
    "using": lambda job: [job.using(queue="low").enqueue(1, 2)],
}
KINDS = {
    "durable": {},
    "not durable": {"durable": False},
    "unique": {"unique": "args"},
    "limited": {"limits": [at_once(2, key="left")]},
}

every_method = pytest.mark.parametrize("ask", METHODS.values(), ids=METHODS.keys())
every_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())


class Rollback(Exception):
    pass


def new_database(alias: str) -> Iterator[str]:
    """A database beside the project's, in memory and empty."""
    like = connections["default"].settings_dict | {"OPTIONS": {}, "CONN_HEALTH_CHECKS": False}
    connections.settings[alias] = like | {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    # Not by a query: a test may connect to no database that it did not name, and this one was not there to be named.
    connections[alias].connect()
    try:
        yield alias
    finally:
        # Django itself closes no database in memory.
        connections[alias].connection.close()
        connections[alias].connection = None
        del connections[alias], connections.settings[alias]


@pytest.fixture
def orders() -> Iterator[str]:
    yield from new_database("orders")


@pytest.fixture
def stock() -> Iterator[str]:
    yield from new_database("stock")


@pytest.fixture
def add(make_job, options):
    return make_job(lambda left, right: left + right, **options)


@contextlib.contextmanager
def rolled_back(alias: str) -> Iterator[None]:
    with contextlib.suppress(Rollback), transaction.atomic(using=alias):
        yield
        raise Rollback


def nothing_anywhere() -> bool:
    return not JobRun.objects.exists() and client().keys("rq:*") == []


@every_method
@every_kind
def test_a_run_comes_with_the_commit_of_the_other_database(orders, add, ask, options):
    with transaction.atomic(using=orders):
        runs = ask(add)
        assert nothing_anywhere()
    assert all(len(places(run.id)) == 1 for run in runs)
    assert JobRun.objects.count() == (0 if options.get("durable") is False else len(runs))


@every_method
@every_kind
def test_a_rollback_of_the_other_database_leaves_no_run(orders, add, ask):
    with rolled_back(orders):
        ask(add)
    assert nothing_anywhere()


@every_method
@pytest.mark.parametrize("options", [{}])
def test_a_savepoint_of_the_other_database_takes_its_runs_along(orders, add, ask):
    with transaction.atomic(using=orders):
        with rolled_back(orders):
            ask(add)
        (kept,) = [sample.add.enqueue(5, 6)]
    assert places(kept.id) == ["queued:default"]
    assert JobRun.objects.count() == 1


def test_of_several_databases_all_must_commit(orders, stock):
    with transaction.atomic(using=orders):
        with transaction.atomic(using=stock):
            run = sample.add.enqueue(1, 2)
        assert nothing_anywhere()
    assert run.state == "queued"
    with rolled_back(orders), transaction.atomic(using=stock):
        sample.add.enqueue(1, 2)
    with transaction.atomic(using=orders), rolled_back(stock):
        sample.add.enqueue(1, 2)
    assert JobRun.objects.count() == 1
    assert client().llen(keys.queue("default")) == 1


def test_the_transaction_of_the_runs_own_database_goes_first(orders):
    with transaction.atomic(using=orders), transaction.atomic():
        run = sample.add.enqueue(1, 2)
        assert run.state == "queued"
        assert places(run.id) == []
    assert places(run.id) == ["queued:default"]


def test_a_database_without_an_open_transaction_is_not_waited_for(orders):
    with transaction.atomic(using=orders):
        pass
    run = sample.add.enqueue(1, 2)
    assert places(run.id) == ["queued:default"]


def test_arguments_are_refused_at_once(orders):
    with transaction.atomic(using=orders), pytest.raises(BadArguments):
        sample.add.enqueue_many([(1, 2), (3,)])
    assert nothing_anywhere()


def test_whether_a_unique_run_was_created_is_not_known_before(orders):
    first = sample.once.enqueue("a")
    with transaction.atomic(using=orders):
        again, fresh = sample.once.enqueue_many([("a",), ("b",)])
        assert (again.created, fresh.created) == (None, None)
    assert set(JobRun.objects.values_list("pk", flat=True)) == {first.id, fresh.id}


def test_a_thousand_calls_wait_for_the_other_commit(orders):
    with transaction.atomic(using=orders):
        runs = sample.add.enqueue_many((number, 1) for number in range(2500))
    assert [run_id.decode() for run_id in client().lrange(keys.queue("default"), 0, -1)] == [
        str(run.id) for run in runs
    ]
    assert JobRun.objects.count() == 2500


def test_who_asked_hears_that_the_row_could_not_be_written(orders, monkeypatch):
    def fail(*args, **facts):
        raise DatabaseError("disk full")

    monkeypatch.setattr(enqueueing, "insert", fail)
    block = transaction.atomic(using=orders)
    block.__enter__()
    sample.add.enqueue(1, 2)
    with pytest.raises(DatabaseError, match="disk full"):
        block.__exit__(None, None, None)
    assert nothing_anywhere()


class RunsInOrders:
    """A router that keeps the runs in the other database."""

    def db_for_read(self, model, **hints):
        return "orders" if model._meta.app_label == "jobs" else None

    db_for_write = db_for_read


def test_rows_follow_the_router(orders, settings):
    call_command("migrate", "jobs", database=orders, verbosity=0)
    settings.DATABASE_ROUTERS = [RunsInOrders()]
    with transaction.atomic():
        waits = sample.add.enqueue(1, 2)
        assert not JobRun.objects.exists()
    with transaction.atomic(using=orders):
        kept = sample.add.enqueue(1, 2)
        assert kept.state == "queued"
    with rolled_back(orders):
        sample.add.enqueue(1, 2)
    assert set(JobRun.objects.using(orders).values_list("pk", flat=True)) == {waits.id, kept.id}
    work_off()
    assert kept.state == waits.state == "succeeded"
