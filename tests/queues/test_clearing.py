"""A queue is cleared: what waits is discarded, what runs and what comes later stays, and it can be undone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from jobs import at_once, bulk, dead, discards, jobs, queues, recorder
from jobs.broker.connection import client
from jobs.errors import BrokerUnavailable, NotClearable
from jobs.models import AuditEntry, BulkAction, DeadJob, JobRun
from jobs.worker import unrecorded
from tests import engine
from tests.engine import make_job
from tests.sample.jobs import add, flood

__all__ = ["make_job"]

WHO = {"actor": "ann", "reason": "a loop enqueued them"}


@pytest.fixture(autouse=True)
def _database(transactional_db):
    pass


def clear(queue="default", **words):
    return queues.clear(queue, **{"typed": queue, **WHO, **words})[0]


def finish(action):
    while bulk.is_open(action.pk, action.round):
        bulk.turn(action.pk)
    action.refresh_from_db()
    return action


def test_what_waits_is_discarded_and_nothing_else():
    running = add.enqueue(0, 0)
    engine.claim()
    waiting = [add.enqueue(number, 1) for number in range(3)]
    later, other = add.enqueue_in(3600, 1, 1), add.using(queue="low").enqueue(1, 1)
    action = clear()
    after = add.enqueue(9, 9)
    finish(action)
    assert {run.state for run in waiting} == {"discarded"}
    assert [run.state for run in (later, other, after)] == ["scheduled", "queued", "queued"]
    assert running.state in ("queued", "running")
    assert action.done == 3
    assert engine.places(waiting[0].id) == []
    assert engine.places(after.id) == ["queued:default"]
    assert AuditEntry.objects.filter(action="clear", actor="ann", count=3).exists()


def test_a_paused_queue_can_be_cleared_and_the_work_of_it_is_not_held():
    waiting = add.enqueue(1, 1)
    queues.pause("critical", **WHO)
    queues.pause("default", **WHO)
    finish(clear())
    assert waiting.state == "discarded"
    assert bulk.queue_for_itself() not in ("critical", "default")


def test_a_clear_can_be_undone_and_what_is_had_back_can_be_retried():
    waiting = add.enqueue(1, 1)
    action = finish(clear())
    (burial,) = DeadJob.objects.filter(bulk=action)
    assert (burial.reason, burial.resolution, burial.resolved_by) == ("cleared", "discarded", "ann")
    discards.undo(burial, actor="bob")
    assert waiting.state == "dead"
    burial.refresh_from_db()
    dead.requeue(burial, actor="bob")
    assert waiting.state == "queued"
    claimed = engine.claim(queues=["default"])
    assert [one.run_id for one in claimed] == [str(waiting.id)]


def test_what_has_no_row_is_discarded_too():
    Queue("default", connection=client(), serializer=JSONSerializer).enqueue("tests.foreign.tasks.note", 1)
    for number in range(3):
        flood.enqueue(number)
    kept = add.enqueue(1, 1)
    assert unrecorded.discard("default", until=datetime.now(UTC) + timedelta(seconds=1), why="cleared by ann") == 4
    recorder.record_all()
    assert client().lrange("rq:queue:default", 0, -1) == [str(kept.id).encode()]
    # One of plain RQ gets a row with the first thing that is told of it; one that is not durable, by a failure alone.
    (row,) = JobRun.objects.exclude(pk=kept.id)
    assert (row.name, row.state, row.error_message) == ("tests.foreign.tasks.note", "discarded", "cleared by ann")
    assert client().zcard("jobs:leases") == 0
    assert engine.claim()[0].run_id == str(kept.id)


def test_what_waits_in_lanes_without_a_row_is_discarded_too(make_job):
    limited = make_job(lambda site: None, "tests.crawl", durable=False, limits=[at_once(1, key="site")])
    for site in ("a", "a", "b"):
        limited.enqueue(site)
    assert unrecorded.discard("default", until=datetime.now(UTC) + timedelta(seconds=1), why="x") == 3
    assert engine.claim() == []
    assert client().keys("jobs:lane*") == []


def test_what_was_enqueued_after_the_clear_stays():
    flood.enqueue(1)
    assert unrecorded.discard("default", until=datetime.now(UTC) - timedelta(seconds=5), why="x") == 0
    assert client().llen("rq:queue:default") == 1


def test_the_job_that_discards_them_is_asked_for_with_the_clear():
    flood.enqueue(1)
    action = clear()
    row = JobRun.objects.get(name="jobs.clear_unrecorded")
    assert row.payload[0][0] == "default"
    assert jobs.clear_unrecorded.function(*row.payload[0]) == 1
    assert AuditEntry.objects.filter(action="clear", target="queue default", count=1).exists()
    assert clear(key=action.key) == action
    assert JobRun.objects.filter(name="jobs.clear_unrecorded").count() == 1


def test_the_name_must_be_typed_and_a_reason_given(monkeypatch):
    for words in ({"typed": "low"}, {"reason": " "}):
        with pytest.raises(NotClearable):
            clear(**words)

    def away():
        raise BrokerUnavailable("away")

    monkeypatch.setattr("jobs.broker.inspect.ping", away)
    with pytest.raises(BrokerUnavailable):
        clear()
    assert not BulkAction.objects.exists()
