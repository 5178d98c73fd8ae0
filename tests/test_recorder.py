"""Every entry of the journal is stored once, in order per run, and none holds up the rest."""

from __future__ import annotations

import json
import logging
import uuid

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from rq import Queue
from rq.serializers import JSONSerializer

from jobs import Discard, RetryPolicy, fixed, recorder
from jobs.broker import journal, keys
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.schedule import tick
from jobs.broker.settle import settle
from jobs.errors import BrokerUnavailable
from jobs.models import DeadJob, FailureCause, JobAttempt, JobRun, JournalCursor
from jobs.policy.outcome import Abandoned
from jobs.recorder import storing, successes
from jobs.relay import relay
from jobs.signals import job_buried, job_finished
from jobs.worker import entries, lifecycle
from tests.at_once import at_once
from tests.engine import WORKER, attempt_next, claim, hash_of, make_job, places
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


def write(data: object) -> str:
    """Put one entry into the journal, as a script would."""
    text = data if isinstance(data, str | bytes) else json.dumps(data)
    return client().xadd(keys.JOURNAL, {"e": text}).decode()


def settled(run_id: object, **facts: object) -> dict[str, object]:
    """A whole entry about the end of an attempt."""
    return {
        "entry": "settled",
        "run": str(run_id),
        "life": 0,
        "token": uuid.uuid4().hex,
        "attempt": 1,
        "attempts": 1,
        "started_ms": 1795313931000,
        "wait_ms": 5,
        "pushed_ms": 1795313930000,
        "worker": "tester",
        "release": "",
        "outcome": "returned",
        "verdict": "done",
        "run_ms": 3,
        "crashes": 0,
        "result": None,
        **facts,
    }


def again(run_id: object) -> None:
    """Let a run that waits for its retry be claimed at once."""
    client().zadd(keys.scheduled("default"), {str(run_id): 0}, xx=True)
    tick([], ["default"])


def test_a_run_that_succeeded_is_remembered_with_its_facts(jobs_settings):
    jobs_settings(RELEASE="r7")
    run = sample.add.enqueue(2, 3)
    attempt_next()
    assert recorder.record_all() == 1
    row = run.row()
    assert (row.state, row.result, row.attempts, row.life) == ("succeeded", 5, 1, 0)
    assert (row.worker, row.release) == ("tester", "r7")
    assert row.created_at <= row.pushed_at <= row.started_at <= row.ended_at
    assert row.run_ms >= 0
    assert row.wait_ms >= 0
    assert not row.history.exists()


def test_what_is_recorded_leaves_redis():
    run = sample.add.enqueue(2, 3)
    attempt_next()
    recorder.record_all()
    assert journal_now().length == 0
    assert hash_of(run.id) == {"life": "0", "status": "finished"}
    assert 0 < client().ttl(keys.job(str(run.id))) <= 60


def test_the_attempts_of_a_run_are_told_in_order(make_job):
    def fail():
        raise OSError("down")

    run = make_job(fail, retry=RetryPolicy(attempts=3, backoff=fixed(60), jitter=0)).enqueue()
    for _ in range(3):
        attempt_next()
        again(run.id)
    recorder.record_all()
    row = run.row()
    assert (row.state, row.attempts, row.error_class, row.error_message) == ("dead", 3, "OSError", "down")
    history = list(row.history.all())
    assert [one.number for one in history] == [1, 2, 3]
    assert [one.verdict for one in history] == ["retry", "retry", "bury"]
    assert (history[0].next_at - history[0].ended_at).total_seconds() == pytest.approx(60, abs=0.01)
    assert history[2].next_at is None
    assert "OSError: down" in history[0].traceback
    (dead_job,) = row.burials.all()
    assert (dead_job.reason, dead_job.life, dead_job.resolution) == ("exhausted", 0, "")


def test_a_run_that_is_discarded_is_no_dead_job(make_job):
    def fail():
        raise KeyError("gone")

    run = make_job(fail, retry=RetryPolicy(rules={KeyError: Discard})).enqueue()
    attempt_next()
    recorder.record_all()
    assert run.state == "discarded"
    assert not DeadJob.objects.exists()
    assert [one.verdict for one in JobAttempt.objects.all()] == ["discard"]


def test_a_running_attempt_is_shown_and_then_ends():
    run = sample.add.enqueue(1, 2)
    (taken,) = claim()
    journal.announce(WORKER, [(taken.token, entries.started(taken, worker=WORKER.name))])
    recorder.record_all()
    assert run.state == "running"
    settle(WORKER, [lifecycle.attempt(taken, worker=WORKER.name)])
    recorder.record_all()
    assert run.state == "succeeded"


def test_a_run_that_is_taken_back_waits_again_and_has_used_no_attempt():
    run = sample.add.enqueue(1, 2)
    (taken,) = claim()
    settle(WORKER, [lifecycle.conclude(taken, Abandoned(), worker=WORKER.name, run_ms=0)])
    recorder.record_all()
    row = run.row()
    assert (row.state, row.attempts) == ("queued", 0)
    assert [one.outcome for one in row.history.all()] == ["abandoned"]


def test_a_run_without_a_row_gets_one_at_its_first_failure_and_keeps_it(make_job):
    fails = [True, False]

    def flood(number):
        if fails.pop(0):
            raise OSError("down")

    job = make_job(flood, durable=False, retry=RetryPolicy(attempts=9, backoff=fixed(60)))
    run = job.using(attempts=4).enqueue(7)
    attempt_next()
    recorder.record_all()
    row = run.row()
    assert (row.state, row.attempts, row.max_attempts, row.arguments) == ("retrying", 1, 4, {"number": 7})
    assert row.options == {"attempts": 4}
    again(run.id)
    attempt_next()
    recorder.record_all()
    assert (run.state, run.row().attempts) == ("succeeded", 2)
    assert JobRun.objects.count() == 1


def test_an_id_without_a_message_is_pushed_again():
    run = sample.add.enqueue(1, 2)
    client().delete(keys.job(str(run.id)))
    assert claim() == []
    recorder.record_all()
    JobRun.objects.update(created_at="2026-01-01T00:00Z")
    assert relay() == 1
    assert places(run.id) == ["queued:default"]


def test_an_id_without_a_message_of_an_ended_run_is_forgotten():
    run = sample.add.enqueue(1, 2)
    attempt_next()
    recorder.record_all()
    write({"entry": "missing", "run": str(run.id), "queue": "default"})
    recorder.record_all()
    assert run.state == "succeeded"
    assert run.row().pushed_at is not None


def test_a_foreign_job_gets_a_row_each_time_though_its_id_comes_again():
    queue = Queue("default", connection=client(), serializer=JSONSerializer)
    for _ in range(2):
        client().delete(keys.job("nightly"))
        queue.enqueue("os.getpid", job_id="nightly")
        attempt_next()
        recorder.record_all()
    rows = JobRun.objects.filter(rq_id="nightly")
    assert [row.state for row in rows] == ["dead", "dead"]
    assert DeadJob.objects.count() == 2


# Once.


def test_what_a_crash_left_stored_but_not_forgotten_is_not_stored_again(make_job, monkeypatch):
    def fail():
        raise OSError("down")

    run = make_job(fail, retry=1).enqueue()
    done = sample.add.enqueue(1, 2)
    attempt_next()
    attempt_next()
    with monkeypatch.context() as crash:
        crash.setattr(journal, "forget", _crash)
        with pytest.raises(BrokerUnavailable):
            recorder.record()
    assert (run.state, done.state, journal_now().length) == ("dead", "succeeded", 2)
    assert recorder.record_all() == 0
    assert journal_now().length == 0
    assert hash_of(done.id) == {"life": "0", "status": "finished"}
    assert (DeadJob.objects.count(), JobAttempt.objects.count()) == (1, 1)


def _crash(*args):
    raise BrokerUnavailable("crashed")


def test_a_failed_transaction_stores_nothing_and_is_repeated_whole(monkeypatch):
    run = sample.add.enqueue(1, 2)
    attempt_next()
    with monkeypatch.context() as failure:
        failure.setattr(storing, "_write", _locked)
        with pytest.raises(OperationalError):
            recorder.record()
    assert run.state == "queued"
    assert recorder.record_all() == 1
    assert run.state == "succeeded"


def _locked(*args):
    raise OperationalError("database is locked")


def test_two_recorders_at_once_store_each_entry_once(make_job):
    def fail():
        raise OSError("down")

    job = make_job(fail, retry=1)
    runs = job.enqueue_many([() for _ in range(60)])
    for _ in runs:
        attempt_next()
    recorder.position()

    def record(_):
        while journal_now().length:
            recorder.record()

    at_once(record, range(4))
    assert (DeadJob.objects.count(), JobAttempt.objects.count()) == (60, 60)
    assert sum(FailureCause.objects.values_list("count", flat=True)) == 60
    assert set(JobRun.objects.values_list("state", flat=True)) == {"dead"}


def test_a_recorder_that_was_overtaken_stores_nothing(monkeypatch):
    sample.add.enqueue(1, 2)
    attempt_next()
    position = recorder.position()
    entries = journal.read(position, most=10)
    recorder.record_all()
    with pytest.raises(recorder.CursorMoved):
        storing._store(entries, after=position)


def test_a_recorder_that_is_overtaken_while_it_goes_one_by_one_gives_way(monkeypatch):
    write(settled("x", life="poison", verdict=["no verdict"], row={}))
    recorder.position()

    def overtaken(entries, *, after):
        JournalCursor.objects.update(position="9999999999999-0")
        raise ValueError("poison")

    store = storing._store
    monkeypatch.setattr(storing, "_store", lambda entries, after: _once(overtaken, store, entries, after))
    assert recorder.record() == 0


def _once(first, then, entries, after):
    if JournalCursor.objects.get().position != "9999999999999-0":
        return first(entries, after=after)
    return then(entries, after=after)


def test_an_attempt_that_is_told_of_twice_is_one():
    run = sample.add.enqueue(1, 2)
    entry = settled(run.id, verdict="retry", outcome="raised", wait_s=5, error_class="OSError", error_message="x")
    write(entry)
    write(entry)
    recorder.record_all()
    assert run.row().history.count() == 1


def test_a_second_end_of_an_ended_run_changes_nothing(caplog):
    run = sample.add.enqueue(1, 2)
    write(settled(run.id, result=1))
    write(settled(run.id, verdict="bury", reason="exhausted", outcome="raised"))
    recorder.record_all()
    row = run.row()
    assert (row.state, row.result) == ("succeeded", 1)
    assert not DeadJob.objects.exists()
    assert "settled again" in caplog.text


def test_what_is_told_of_an_earlier_life_is_ignored():
    run = sample.add.enqueue(1, 2)
    JobRun.objects.update(life=2)
    write(settled(run.id, life=1))
    write(settled(run.id, life=1, verdict="bury", reason="exhausted"))
    write({"entry": "started", "run": str(run.id), "life": 1})
    recorder.record_all()
    assert (run.state, journal_now().length) == ("queued", 0)
    assert not JobAttempt.objects.exists()


def test_what_is_told_of_a_run_that_was_pruned_is_passed_by():
    write(settled(uuid.uuid4()))
    write(settled("some-foreign-id"))
    assert recorder.record_all() == 2
    assert not JobRun.objects.exists()


# Runs that succeeded, all in one statement.


def test_most_runs_are_stored_as_if_each_were_alone(monkeypatch):
    facts = {"attempts": 2, "crashes": 1, "worker": "w", "release": "r7", "result": {"sum": [1, None, "\u00e9"]}}
    together, alone = sample.add.enqueue_many([(1, 2)] * 2)
    written = [{**settled(run.id, **facts), "pushed_ms": 1795313930007} for run in (together, alone)]
    client().xadd(keys.JOURNAL, {"at": 1795313931123, "e": json.dumps(written[0])})
    assert recorder.record() == 1
    monkeypatch.setattr(successes, "store", lambda entries, minutes: list(entries))
    client().xadd(keys.JOURNAL, {"at": 1795313931123, "e": json.dumps(written[1])})
    assert recorder.record() == 1
    one, other = (JobRun.objects.filter(pk=run.id).values().get() for run in (together, alone))
    assert {name for name in one if one[name] != other[name]} <= {"id", "rq_id", "created_at"}
    assert (one["state"], one["result"], one["crashes"]) == ("succeeded", {"sum": [1, None, "\u00e9"]}, 1)


def test_a_push_that_is_marked_keeps_its_time():
    run = sample.add.enqueue(1, 2)
    JobRun.objects.update(pushed_at="2026-01-01T00:00Z")
    write(settled(run.id))
    recorder.record_all()
    assert run.row().pushed_at.year == 2026
    assert run.row().pushed_at.month == 1


def test_what_was_written_together_is_stored_together_and_in_order():
    ran, retried = sample.add.enqueue_many([(1, 2)] * 2)
    failed = settled(retried.id, verdict="retry", outcome="raised", wait_s=5, error_class="OSError", error_message="x")
    write([settled(ran.id), failed, settled(retried.id, attempts=2), "no entry"])
    assert recorder.record() == 4
    assert (ran.state, retried.state, retried.row().attempts) == ("succeeded", "succeeded", 2)
    assert (retried.row().history.count(), journal_now().length) == (1, 0)


def test_an_unfit_entry_does_not_hold_up_those_that_were_written_with_it(caplog):
    before, hurt, after = sample.add.enqueue_many([(1, 2)] * 3)
    write([settled(before.id), settled(hurt.id, verdict="bury"), settled(after.id)])
    assert recorder.record() == 3
    assert [run.state for run in (before, hurt, after)] == ["succeeded", "queued", "succeeded"]
    assert "cannot be stored" in caplog.text


def test_a_thousand_successes_are_a_few_statements():
    runs = sample.add.enqueue_many([(number, 1) for number in range(1000)])
    write([settled(run.id) for run in runs])
    recorder.position()
    with CaptureQueriesContext(connection) as captured:
        assert recorder.record() == 1000
    assert len(captured) <= 10
    assert JobRun.objects.filter(state="succeeded").count() == 1000


def test_runs_are_found_by_their_key_whatever_the_planner_believes():
    waiting = sample.add.enqueue_many([(number, 1) for number in range(300)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        ends = [successes._end(journal.Entry("1-0", 1795313931123, settled(run.id))) for run in waiting[:100]]
        statement, values = successes._STATEMENTS[connection.vendor](ends)
        explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
        cursor.execute(explain + statement, values)
        plan = " ".join(str(word) for line in cursor.fetchall() for word in line)
    # Those on state, name and queue; a small table may be read whole.
    assert "jobs_run_" not in plan, plan


# Poison.

POISON = [
    "",
    "not json",
    "[]",
    "null",
    b"\xff\xfe",
    "[" * 100_000,
    {},
    {"entry": "settled"},
    {"entry": "settled", "run": "RUN"},
    {"entry": "settled", "run": "RUN", "life": 0},
    {"entry": "settled", "run": "RUN", "life": 0, "verdict": "done"},
    {"entry": "started", "run": "RUN", "life": 0},
    {"entry": "no such kind", "run": "RUN", "life": 0},
    {"entry": "settled", "run": ["RUN"], "life": 0},
    {"entry": "settled", "run": None, "life": None, "verdict": "done"},
    settled("RUN", verdict="no such verdict"),
    settled("RUN", verdict=[1]),
    settled("RUN", verdict="retry", wait_s=1e300),
    settled("RUN", verdict="retry", wait_s="soon"),
    settled("RUN", verdict="bury"),
    settled("RUN", started_ms=1e300),
    settled("RUN", started_ms="now"),
    settled("RUN", run_ms=10**30),
    settled("RUN", worker=None),
    settled("RUN", life="0"),
    settled("RUN", life=True),
    settled("\ud800"),
    settled(["\ud800"]),
    settled("RUN", worker="\ud800"),
    settled("RUN", result="\ud800"),
    settled("someone-else", row={}),
    settled("someone-else", row={"id": "no uuid"}),
    settled("someone-else", row="text"),
]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: str(poison)[-60:])
def test_an_entry_that_cannot_be_stored_does_not_hold_up_the_rest(poison, caplog):
    caplog.set_level(logging.ERROR)
    before, hurt, after = sample.add.enqueue_many([(1, 2)] * 3)
    write(settled(before.id))
    write(json.loads(json.dumps(poison).replace('"RUN"', f'"{hurt.id}"')) if isinstance(poison, dict) else poison)
    write(settled(after.id))
    assert recorder.record_all() == 3
    assert (before.state, after.state) == ("succeeded", "succeeded")
    assert journal_now().length == 0
    assert recorder.record_all() == 0


def test_an_entry_without_its_field_is_passed_by():
    client().xadd(keys.JOURNAL, {"something": "else"})
    assert recorder.record_all() == 1
    assert journal_now().length == 0


@pytest.mark.parametrize("at", ["abc", "", "nan", "inf", "-1", "1e300", b"\xff"])
def test_an_entry_whose_time_is_damaged_has_that_of_its_position(at):
    run = sample.add.enqueue(1, 2)
    client().xadd(keys.JOURNAL, {"at": at, "e": json.dumps(settled(run.id))}, id="1795313999000-0")
    assert recorder.record_all() == 1
    assert run.row().ended_at.timestamp() == 1795313999


@pytest.mark.parametrize("poison", [settled("\ud800"), settled("x", life=True)], ids=["run", "life"])
def test_what_cannot_be_forgotten_does_not_stop_the_next_recorder(poison):
    position = write(poison)
    JournalCursor.objects.create(shard=0, position=position)
    recorder.catch_up()
    assert journal_now().length == 0


def test_a_wait_of_a_month_in_a_queue_fits_its_column():
    run = sample.add.enqueue(1, 2)
    write(settled(run.id, wait_ms=40 * 86_400_000))
    recorder.record_all()
    assert run.state == "succeeded"
    assert run.row().wait_ms == 2**31 - 1


# Speed and signals.


def statements(count: int) -> int:
    runs = sample.add.enqueue_many([(number, 1) for number in range(count)])
    for run in runs[::2]:
        write(settled(run.id))
    for run in runs[1::2]:
        write(settled(run.id, verdict="bury", reason="exhausted", outcome="raised"))
    with CaptureQueriesContext(connection) as captured:
        assert recorder.record() == count
    return len(captured)


def test_the_number_of_statements_does_not_follow_the_number_of_entries():
    recorder.record_all()
    few, many = statements(4), statements(60)
    assert many <= few + 4, (few, many)


def test_listeners_hear_of_ends_once_they_are_stored():
    heard: list[tuple[str, str]] = []

    def finished(run, verdict, **facts):
        heard.append((verdict, JobRun.objects.get(pk=run.pk).state))

    def buried(dead_job, **facts):
        heard.append(("burial", DeadJob.objects.get(pk=dead_job.pk).reason))

    job_finished.connect(finished)
    job_buried.connect(buried)
    try:
        one, other = sample.add.enqueue_many([(1, 2), (3, 4)])
        write(settled(one.id))
        write(settled(other.id, verdict="bury", reason="permanent", outcome="raised"))
        recorder.record_all()
    finally:
        job_finished.disconnect(finished)
        job_buried.disconnect(buried)
    assert sorted(heard) == [("burial", "permanent"), ("bury", "dead"), ("done", "succeeded")]


def test_a_listener_that_raises_does_not_stop_the_recorder():
    def grumble(**facts):
        raise RuntimeError("no")

    job_finished.connect(grumble)
    try:
        write(settled(sample.add.enqueue(1, 2).id))
        assert recorder.record_all() == 1
    finally:
        job_finished.disconnect(grumble)
    assert journal_now().length == 0


def test_one_recorder_leads_until_it_steps_down():
    assert journal.take_over("a", seconds=10)
    assert journal.take_over("a", seconds=10)
    assert not journal.take_over("b", seconds=10)
    journal.step_down("b")
    assert not journal.take_over("b", seconds=10)
    journal.step_down("a")
    assert journal.take_over("b", seconds=10)
    assert 0 < client().pttl(keys.RECORDER) <= 10_000


def test_a_leaders_key_of_another_type_keeps_nobody_from_recording():
    client().rpush(keys.RECORDER, "x")
    assert journal.take_over("a", seconds=10)
    assert journal.take_over("b", seconds=10)
    journal.step_down("a")
    assert client().lrange(keys.RECORDER, 0, -1) == [b"x"]


def test_what_fills_the_server_is_stored_and_frees_it():
    run = sample.add.enqueue(1, 2)
    attempt_next()
    client().config_set("maxmemory", "1")
    try:
        assert journal.take_over("a", seconds=10)
        assert recorder.record() == 1
        assert journal_now().length == 0
    finally:
        client().config_set("maxmemory", "0")
    assert run.state == "succeeded"
