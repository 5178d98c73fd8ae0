"""A run's row is in the caller's transaction, and its push comes after the commit."""

from __future__ import annotations

import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import context, outbox, spool
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from jobs.context import CurrentRun
from jobs.errors import (
    ArgumentsNotJSON,
    ArgumentsTooLarge,
    BadArguments,
    BadOptions,
    BrokerUnavailable,
    UnknownQueue,
)
from jobs.models import JobRun, RunState
from jobs.relay import relay
from jobs.signals import job_enqueued
from jobs.uniques import conflicts
from tests.at_once import at_once
from tests.engine import attempt_next, hash_of, make_job, places, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
NOON = datetime(2090, 1, 1, 12, tzinfo=UTC)

METHODS = {
    "enqueue": lambda job: [job.enqueue(1, 2)],
    "enqueue by name": lambda job: [job.enqueue(left=1, right=2)],
    "enqueue_in": lambda job: [job.enqueue_in(60, 1, 2)],
    "enqueue_at": lambda job: [job.enqueue_at(NOON, 1, 2)],
    "enqueue_many": lambda job: job.enqueue_many([(1, 2), [3, 4], {"left": 5, "right": 6}]),
    "using": lambda job: [job.using(queue="low", attempts=2).enqueue(1, 2)],
    "using at": lambda job: [job.using(at=NOON).enqueue(1, 2)],
    "using, enqueue_in": lambda job: [job.using(queue="low").enqueue_in(HOUR, 1, 2)],
    "using, enqueue_at": lambda job: [job.using(queue="low").enqueue_at(NOON, 1, 2)],
    "using, enqueue_many": lambda job: job.using(queue="low").enqueue_many([(1, 2), (3, 4)]),
}
KINDS = {"durable": {}, "not durable": {"durable": False}, "unique": {"unique": "args"}}

every_method = pytest.mark.parametrize("ask", METHODS.values(), ids=METHODS.keys())
every_kind = pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())


@pytest.fixture
def add(make_job, options):
    return make_job(lambda left, right: left + right, **options)


def nothing_in_redis() -> bool:
    return client().keys("rq:*") == []


class Rollback(Exception):
    pass


@every_method
@every_kind
def test_a_rollback_leaves_neither_row_nor_job(add, ask):
    def roll_back() -> None:
        with transaction.atomic():
            ask(add)
            raise Rollback

    with pytest.raises(Rollback):
        roll_back()
    assert not JobRun.objects.exists()
    assert nothing_in_redis()


@every_method
@every_kind
def test_a_rollback_to_a_savepoint_leaves_neither_row_nor_job(add, ask):
    def roll_back() -> None:
        with transaction.atomic():
            ask(add)
            raise Rollback

    with transaction.atomic(), pytest.raises(Rollback):
        roll_back()
    assert not JobRun.objects.exists()
    assert nothing_in_redis()


@every_method
@every_kind
def test_a_job_comes_to_redis_with_the_commit_and_not_before(add, ask, options):
    with transaction.atomic():
        runs = ask(add)
        assert nothing_in_redis()
    assert all(len(places(run.id)) == 1 for run in runs)
    assert JobRun.objects.count() == (0 if options.get("durable") is False else len(runs))


@every_method
@pytest.mark.parametrize("options", [{}])
def test_the_handle_the_row_and_the_message_say_the_same(add, ask):
    for run in ask(add):
        row, message = run.row(), hash_of(run.id)
        assert (row.name, row.queue, row.due_at) == (run.name, run.queue, run.due_at)
        assert (message["origin"], message["life"], message["durable"]) == (run.queue, "0", "1")
        assert places(run.id) == [f"{'scheduled' if run.due_at else 'queued'}:{run.queue}"]
        assert run.state == ("scheduled" if run.due_at else "queued")
        assert run.created


def test_a_bad_call_among_many_leaves_none():
    with pytest.raises(BadArguments):
        sample.add.enqueue_many([(1, 2), (3,)])
    assert not JobRun.objects.exists()
    assert nothing_in_redis()


def test_an_error_while_many_unique_rows_are_written_leaves_none(make_job, monkeypatch):
    job = make_job(lambda number: None, unique="args")
    write, written = conflicts.insert, []

    def fail_at_the_second_slice(runs, *args, **facts):
        written.append(len(runs))
        if len(written) == 2:
            raise DatabaseError("disk full")
        write(runs, *args, **facts)

    monkeypatch.setattr(conflicts, "insert", fail_at_the_second_slice)
    with pytest.raises(DatabaseError):
        job.enqueue_many([(number,) for number in range(1500)])
    assert written == [1000, 500]
    assert not JobRun.objects.exists()


@every_kind
def test_a_bad_call_after_thousands_leaves_none_in_a_transaction_that_goes_on(add):
    calls = [*((number, 1) for number in range(2200)), (1,)]
    with transaction.atomic():
        kept = add.enqueue(-1, -1)
        with pytest.raises(BadArguments):
            add.enqueue_many(iter(calls))
    assert client().lrange(keys.queue("default"), 0, -1) == [str(kept.id).encode()]
    assert JobRun.objects.count() == (1 if add.options.durable else 0)


def test_of_many_equal_ones_over_several_slices_one_is_created():
    pending = sample.once.enqueue("1500")
    runs = sample.once.enqueue_many([(str(number % 2000),) for number in range(2500)])
    assert [place for place, run in enumerate(runs) if not run.created] == [1500, *range(2000, 2500)]
    assert runs[1500].id == pending.id
    assert [run.id for run in runs[2000:]] == [run.id for run in runs[:500]]
    assert JobRun.objects.count() == 2000
    assert client().llen(keys.queue("default")) == 2000


@pytest.mark.slow
def test_a_stream_of_many_calls_takes_little_memory(monkeypatch):
    """In bytes that Python holds: to keep 20,000 calls would take more than 20 MB."""
    monkeypatch.setattr(spool, "_MOST_CHARACTERS", 500_000)
    sample.add.enqueue_many([(1, 2)] * 3000)
    tracemalloc.start()
    try:
        runs = sample.add.enqueue_many((number, 1) for number in range(20_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    assert 3000 + len(runs) == JobRun.objects.count() == client().llen(keys.queue("default")) == 23_000


@pytest.mark.parametrize("calls", [["abc"], [5], [None], [b"ab"]], ids=str)
def test_a_call_among_many_that_is_no_tuple_is_refused_with_the_cure(calls):
    with pytest.raises(BadArguments, match="as a tuple"):
        sample.add.enqueue_many(calls)


def test_the_bad_call_among_many_is_told_by_its_place():
    with pytest.raises(BadArguments) as caught:
        sample.add.enqueue_many([(1, 2), (3, 4), (5, 6, 7)])
    assert caught.value.__notes__ == ["It was call 3 of this enqueue_many."]
    with pytest.raises(BadArguments) as caught:
        sample.add.enqueue(5, 6, 7)
    assert not hasattr(caught.value, "__notes__")


def test_many_may_be_none():
    assert sample.add.enqueue_many([]) == []
    assert sample.add.enqueue_many(iter(())) == []


def test_two_thousand_are_written_and_pushed_in_order():
    runs = sample.add.enqueue_many((number, 1) for number in range(2000))
    assert [run.id for run in runs] == sorted(run.id for run in runs)
    waiting = client().lrange(keys.queue("default"), 0, -1)
    assert waiting == [str(run.id).encode() for run in runs]
    assert JobRun.objects.count() == 2000


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((1,), BadArguments),
        ((1, 2, 3), BadArguments),
        ((1, {2}), ArgumentsNotJSON),
        ((1, JobRun()), ArgumentsNotJSON),
        ((1, "x" * 200_000), ArgumentsTooLarge),
    ],
    ids=["too few", "too many", "a set", "a record", "too large"],
)
def test_arguments_that_cannot_be_sent_are_refused_before_anything_is_stored(args, error):
    with pytest.raises(error, match=r"tests\.sample\.add"):
        sample.add.enqueue(*args)
    assert not JobRun.objects.exists()


def test_an_unknown_queue_is_refused_with_the_nearest():
    with pytest.raises(UnknownQueue, match='Did you mean "critical"'):
        sample.add.using(queue="critcal").enqueue(1, 2)
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("when", [timezone.now() - HOUR, timezone.now()])
def test_a_time_that_has_come_is_now(when):
    run = sample.add.enqueue_at(when, 1, 2)
    assert (run.due_at, run.state) == (None, "queued")


@pytest.mark.parametrize("delay", [timedelta.max, 1e13, 10**13])
def test_a_delay_beyond_the_end_of_the_calendar_is_refused(delay):
    with pytest.raises(BadOptions, match="delay"):
        sample.add.enqueue_in(delay, 1, 2)
    assert not JobRun.objects.exists()


def test_the_last_day_of_the_calendar_can_be_waited_for():
    run = sample.add.enqueue_at(datetime.max.replace(tzinfo=UTC), 1, 2)
    assert places(run.id) == ["scheduled:default"]


def test_a_run_knows_its_own_number_of_attempts():
    run = sample.add.using(attempts=3).enqueue(1, 2)
    assert run.row().max_attempts == 3
    assert hash_of(run.id)["own_attempts"] == "3"
    assert sample.add.enqueue(1, 2).row().max_attempts == 25


@contextmanager
def queries() -> Iterator[list[str]]:
    """The statements that reached the database, without those that begin and end transactions."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    words = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    found += [one["sql"] for one in captured.captured_queries if not one["sql"].startswith(words)]


def commands() -> int:
    """Commands that came from a client; what scripts call inside the server does not count."""
    stats = client().info("commandstats")
    return stats.get("cmdstat_evalsha", {}).get("calls", 0) + stats.get("cmdstat_eval", {}).get("calls", 0)


def test_an_enqueue_is_one_statement_and_one_round_trip():
    sample.add.enqueue(1, 2)
    before = commands()
    with queries() as made, transaction.atomic():
        sample.add.enqueue(1, 2)
    assert len(made) == 1, made
    assert made[0].startswith("INSERT")
    assert commands() - before == 1


def test_a_unique_enqueue_is_two_statements(make_job):
    job = make_job(lambda number: None, unique="args")
    with queries() as made:
        job.enqueue(1)
    assert len(made) == 2, made


def test_many_are_a_few_statements_and_round_trips():
    sample.add.enqueue(1, 2)
    before = commands()
    with queries() as made:
        sample.add.enqueue_many([(number, 1) for number in range(500)])
    # SQLite takes 999 values in one statement.
    assert len(made) <= 15, len(made)
    assert commands() - before == 2


def test_a_run_without_a_row_asks_the_database_nothing(make_job):
    job = make_job(lambda: None, durable=False)
    with queries() as made:
        job.enqueue()
    assert made == []


@pytest.fixture
def own_server(settings) -> Iterator[EmbeddedServer]:
    """A server that this test may break."""
    server = EmbeddedServer()
    server.start()
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    yield server
    server.stop()


def grow_older(seconds: float = 6) -> None:
    """Let the rows be old enough for the relay."""
    JobRun.objects.update(created_at=timezone.now() - timedelta(seconds=seconds))


@every_method
@pytest.mark.parametrize("options", [{}])
def test_an_enqueue_succeeds_while_redis_is_away_and_is_pushed_when_it_is_back(own_server, add, ask, caplog):
    own_server.kill()
    with transaction.atomic():
        runs = ask(add)
    assert "the relay will push" in caplog.text
    grow_older()
    with pytest.raises(BrokerUnavailable):
        relay()
    own_server.start()
    assert relay() == len(runs)
    assert all(len(places(run.id)) == 1 for run in runs)
    assert relay() == 0


def test_what_else_waits_for_the_commit_still_happens_while_redis_is_away(own_server):
    own_server.kill()
    happened: list[str] = []
    with transaction.atomic():
        sample.add.enqueue(1, 2)
        transaction.on_commit(lambda: happened.append("other"))
    assert happened == ["other"]


def test_what_else_waits_for_the_commit_still_happens_while_a_queue_cannot_be_written():
    client().set(keys.queue("default"), "x")
    happened: list[str] = []
    with transaction.atomic():
        sample.add.enqueue(1, 2)
        transaction.on_commit(lambda: happened.append("other"))
    assert happened == ["other"]


def test_a_run_without_a_row_tells_its_caller_that_redis_is_away(own_server, make_job):
    job = make_job(lambda: None, durable=False)
    own_server.kill()
    with pytest.raises(BrokerUnavailable):
        job.enqueue()


def test_a_run_without_a_row_does_not_fail_a_transaction_that_is_committed(own_server, make_job, caplog):
    job = make_job(lambda: None, durable=False)
    own_server.kill()
    with transaction.atomic():
        job.enqueue()
    assert "are lost" in caplog.text


def test_a_push_that_comes_very_late_is_left_to_the_relay(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: now[0])
    with transaction.atomic():
        run = sample.add.enqueue(1, 2)
        now[0] += 31
    assert nothing_in_redis()
    monkeypatch.undo()
    grow_older(36)
    assert relay() == 1
    assert places(run.id) == ["queued:default"]


def test_listeners_hear_of_runs_that_are_there():
    heard: list[list[str]] = []

    def listen(run_ids, **facts):
        heard.append([places(run_id) for run_id in run_ids])

    job_enqueued.connect(listen)
    try:
        sample.add.enqueue_many([(1, 2), (3, 4)])
    finally:
        job_enqueued.disconnect(listen)
    assert heard == [[["queued:default"], ["queued:default"]]]


# Unique.


def test_of_equal_runs_one_is_pending():
    first, second = sample.once.enqueue("a"), sample.once.enqueue("a")
    assert (first.id, first.created, second.created) == (second.id, True, False)
    assert sample.once.enqueue("b").created
    assert client().llen(keys.queue("default")) == 2


def test_an_equal_run_may_come_after_the_first_has_ended():
    first = sample.once.enqueue("a")
    work_off()
    assert first.state == "succeeded"
    assert sample.once.enqueue("a").created


def test_equal_runs_among_many_are_one():
    runs = sample.once.enqueue_many([("a",), ("b",), ("a",), ("a",)])
    assert [run.created for run in runs] == [True, True, False, False]
    assert runs[0].id == runs[2].id == runs[3].id
    assert JobRun.objects.count() == 2
    assert client().llen(keys.queue("default")) == 2


def test_defaults_count_like_arguments(make_job):
    job = make_job(lambda key, mode="full": None, unique="args")
    first = job.enqueue("a")
    assert job.enqueue("a", "full").id == first.id
    assert job.enqueue(key="a", mode="full").id == first.id
    assert job.enqueue("a", "quick").created
    assert job.enqueue("a", None).created


def test_twenty_at_once_make_one_run():
    runs = at_once(sample.once.enqueue, ["a"] * 20)
    assert len({run.id for run in runs}) == 1
    assert [run.created for run in runs].count(True) == 1
    assert JobRun.objects.count() == 1
    assert client().llen(keys.queue("default")) == 1


# Parents.


def a_current(run_id: uuid.UUID, correlation: str = "") -> CurrentRun:
    return CurrentRun(run_id, "shop.pack", "default", 1, 5, 30.0, timezone.now(), "tester", print, correlation)


def test_a_run_knows_its_parent_and_where_it_all_began():
    parent = uuid.uuid4()
    with context.running(a_current(parent)):
        child = sample.add.enqueue(1, 2).row()
    assert (child.parent, child.correlation) == (parent, str(parent))
    with context.running(a_current(child.id, child.correlation)):
        grandchild = sample.add.enqueue(1, 2)
    assert (grandchild.row().parent, grandchild.row().correlation) == (child.id, str(parent))
    assert hash_of(grandchild.id)["correlation"] == str(parent)
    outside = sample.add.enqueue(1, 2).row()
    assert (outside.parent, outside.correlation) == (None, "")


# Secrets.


def test_secrets_are_masked_for_display_and_arrive_whole(make_job):
    got = []
    job = make_job(lambda card, login, order_id: got.append((card, login)), sensitive=["card"])
    run = job.enqueue("4000-1234", {"password": "hunter2"}, 17)
    row = run.row()
    assert row.arguments == {"card": "[redacted]", "login": {"password": "[redacted]"}, "order_id": 17}
    assert row.payload == [["4000-1234", {"password": "hunter2"}, 17], {}]
    shown = hash_of(run.id)["description"]
    assert "4000-1234" not in shown
    assert "hunter2" not in shown
    assert "order_id=17" in shown
    work_off()
    assert got == [("4000-1234", {"password": "hunter2"})]


def test_names_of_the_settings_are_masked_too(jobs_settings):
    jobs_settings(SENSITIVE=["left"])
    assert sample.add.enqueue(12345, 2).row().arguments == {"left": "[redacted]", "right": 2}


def test_no_secret_is_in_the_journal(make_job):
    def fail(card):
        raise ValueError(f"card {card} refused")

    make_job(fail, sensitive=["card"], retry=1).enqueue("tok_live_hunter2")
    attempt_next()
    assert b"hunter2" not in b"".join(client().xrange(keys.JOURNAL)[0][1].values())


def test_a_pending_row_has_no_end():
    run = sample.add.enqueue(1, 2).row()
    assert (run.state, run.ended_at, run.pushed_at) == (RunState.QUEUED, None, None)
