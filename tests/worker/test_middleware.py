"""What is around an attempt."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from jobs import JobStopped, JobTimedOut
from jobs.context import CurrentRun
from jobs.models import AuditEntry, JobRun
from jobs.worker import deadlines
from jobs.worker.middleware import chain, database_connections, time_limit

order: list[str] = []


def outer(get_result: Any) -> Any:
    def middleware(run: CurrentRun) -> Any:
        order.append("outer in")
        try:
            return get_result(run)
        finally:
            order.append("outer out")

    return middleware


def inner(get_result: Any) -> Any:
    def middleware(run: CurrentRun) -> Any:
        order.append("inner in")
        return get_result(run) + 1

    return middleware


def a_run(call: Any, timeout: float = 30) -> CurrentRun:
    return CurrentRun(
        id=uuid.UUID(int=7),
        name="shop.pack",
        queue="default",
        attempt=2,
        attempts=5,
        timeout=timeout,
        deadline=datetime.now(UTC),
        worker="tester",
        call=call,
    )


def test_the_first_listed_is_the_outermost(jobs_settings):
    order.clear()
    jobs_settings(MIDDLEWARE=[f"{__name__}.outer", f"{__name__}.inner"])
    assert chain()(a_run(lambda: order.append("job") or 1)) == 2
    assert order == ["outer in", "inner in", "job", "outer out"]


def test_without_any_the_job_is_called_all_the_same(jobs_settings):
    jobs_settings(MIDDLEWARE=[])
    assert chain()(a_run(lambda: 1)) == 1


def test_the_time_limit_lasts_as_long_as_the_job():
    left = time_limit(lambda run: deadlines.strike_late())(a_run(None, timeout=30))
    assert 29 < left <= 30
    assert deadlines.strike_late() is None


def guarded(call: Any) -> Any:
    return database_connections(lambda run: run.call())(a_run(call))


@pytest.mark.django_db(transaction=True)
def test_a_usable_connection_is_kept_for_the_next_attempt():
    connection.settings_dict["CONN_MAX_AGE"] = None
    connection.close()
    guarded(JobRun.objects.exists)
    first = connection.connection
    try:
        assert first is not None
        guarded(JobRun.objects.exists)
        assert connection.connection is first
    finally:
        connection.settings_dict["CONN_MAX_AGE"] = 0


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_a_job_left_open_does_not_reach_the_next_one():
    def leave_open() -> None:
        transaction.set_autocommit(False)
        JobRun.objects.exists()

    guarded(leave_open)
    assert transaction.get_autocommit()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [JobTimedOut, JobStopped])
def test_a_connection_is_closed_after_a_strike(error):
    def be_struck() -> None:
        JobRun.objects.exists()
        raise error

    with pytest.raises(error):
        guarded(be_struck)
    assert connection.connection is None


@pytest.mark.django_db
def test_the_transaction_of_a_test_is_left_to_it():
    JobRun.objects.exists()
    mine = connection.connection
    with pytest.raises(JobTimedOut):
        guarded(lambda: (_ for _ in ()).throw(JobTimedOut()))
    assert connection.connection is mine
    assert connection.in_atomic_block


@pytest.fixture
def job_thread() -> Iterator[Callable[[Any], Any]]:
    """Run one attempt after the other in a thread of their own, as a worker does."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield lambda call: pool.submit(guarded, call).result(timeout=10)
        pool.submit(connections.close_all).result(timeout=10)


def leave_open() -> None:
    transaction.atomic().__enter__()
    AuditEntry.objects.create(actor="tester", action="half done")


def leave_two_open() -> None:
    transaction.atomic().__enter__()
    leave_open()


def leave_open_and_close() -> None:
    leave_open()
    connections.close_all()


def leave_a_broken_one_open() -> None:
    leave_open()
    with contextlib.suppress(DatabaseError), transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


def leave_open_and_ask_for_more() -> None:
    leave_open()
    transaction.on_commit(lambda: order.append("committed"))


def leave_open_and_raise() -> None:
    leave_open()
    raise ValueError("on the way")


def leave_open_and_be_struck() -> None:
    leave_open()
    raise JobTimedOut


def leave_open_and_lose_the_connection() -> None:
    leave_open()
    connection.connection.close()


def state() -> tuple[Any, ...]:
    return (
        connection.in_atomic_block,
        connection.needs_rollback,
        connection.closed_in_transaction,
        connection.savepoint_ids,
        connection.atomic_blocks,
        connection.run_on_commit,
        connection.get_autocommit(),
    )


POISONS = [
    leave_open,
    leave_two_open,
    leave_open_and_close,
    leave_a_broken_one_open,
    leave_open_and_ask_for_more,
    leave_open_and_raise,
    leave_open_and_be_struck,
    leave_open_and_lose_the_connection,
]


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.django_db(transaction=True)
def test_a_block_that_a_job_never_left_is_rolled_back_and_its_thread_stays_usable(job_thread, poison):
    def work() -> None:
        with transaction.atomic():
            AuditEntry.objects.create(actor="tester", action="done")

    order.clear()
    for _ in range(2):
        with contextlib.suppress(ValueError, JobTimedOut):
            job_thread(poison)
        assert job_thread(state) == (False, False, False, [], [], [], True)
        job_thread(work)
    assert [entry.action for entry in AuditEntry.objects.all()] == ["done", "done"]
    assert order == []


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_dead_inside_a_block_is_nobodys():
    """What an attempt finds so was left by something that ended before it."""

    def poison() -> None:
        transaction.atomic().__enter__()
        connection.ensure_connection()
        connection.close()

    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(poison).result(timeout=10)
        assert pool.submit(guarded, state).result(timeout=10)[0] is False
        pool.submit(connections.close_all).result(timeout=10)
