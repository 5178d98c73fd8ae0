"""The verbs for dead jobs do what they say once, leave a trace, and say what they left alone and why."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import audit, burials, dead, recorder, registry
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from jobs.broker.schedule import tick
from jobs.errors import NotDiscardable, NotRequeueable
from jobs.models import AuditEntry, DeadJob, JobRun, RunState
from jobs.relay import relay
from jobs.signals import job_requeued
from tests.at_once import at_once
from tests.engine import a_run, attempt_next, claim, hash_of, make_job, places, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def fail(number=0):
    raise OSError(f"no {number}")


@pytest.fixture
def dying(make_job):
    """A job whose runs die at once."""
    return make_job(fail, name="tests.dying", retry=1)


def a_dead_run(state: str = RunState.DEAD, *, died: timedelta = MINUTE, **facts) -> DeadJob:
    """A burial as the recorder leaves it, without anything in Redis."""
    now = timezone.now()
    run_facts = {
        "name": "tests.dying",
        "queue": "default",
        "payload": [[1], {}],
        "arguments": {"number": 1},
        "max_attempts": 3,
        "attempts": 3,
        "created_at": now - died,
        "pushed_at": now - died,
        "ended_at": now - died,
    }
    run_id = uuid.uuid4()
    row = JobRun.objects.create(id=run_id, rq_id=str(run_id), state=state, **{**run_facts, **facts.pop("run", {})})
    given = {
        "life": row.life,
        "name": row.name,
        "queue": row.queue,
        "reason": "exhausted",
        "error_class": "OSError",
        "error_message": "no 1",
        "died_at": now - died,
    }
    return DeadJob.objects.create(run=row, **{**given, **facts})


def test_a_requeued_run_begins_a_new_life_with_all_its_attempts(dying):
    run = dying.enqueue(7)
    work_off()
    (buried,) = dead.matching()
    dead.requeue(buried, actor="ann", reason="the gateway is back", address="10.0.0.1")
    row = run.row()
    assert (row.state, row.life, row.attempts, row.crashes, row.ended_at) == ("queued", 1, 0, 0, None)
    assert places(run.id) == ["queued:default"]
    assert hash_of(run.id)["life"] == "1"
    (claimed,) = claim()
    assert claimed.attempt == 1
    buried.refresh_from_db()
    assert (buried.resolution, buried.resolved_by, buried.note) == ("requeued", "ann", "the gateway is back")


def test_a_run_that_dies_again_has_two_burials(dying):
    run = dying.enqueue(7)
    for _ in range(2):
        work_off()
        dead.requeue(dead.matching().get(), actor="ann")
    work_off()
    assert [one.life for one in run.row().burials.order_by("life")] == [0, 1, 2]
    assert dead.matching().get().life == 2


def test_a_discarded_run_ends_for_good(dying):
    run = dying.enqueue(7)
    work_off()
    dead.discard(dead.matching().get(), actor="ann", reason="test order")
    assert run.state == "discarded"
    assert places(run.id) == []
    assert not client().exists(keys.job(str(run.id)))
    assert not dead.matching().exists()


@pytest.mark.parametrize("verb", [dead.requeue, dead.discard])
def test_each_verb_leaves_who_what_and_why(verb):
    buried = a_dead_run()
    verb(buried, actor="ann", reason="because", address="10.0.0.1")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason, entry.address) == (
        "ann",
        verb.__name__,
        "because",
        "10.0.0.1",
    )
    assert (entry.target, entry.count, entry.before) == (str(buried.run_id), 1, {"state": "dead"})
    assert entry.after == {"state": "queued" if verb is dead.requeue else "discarded"}


@pytest.mark.parametrize("verb", [dead.requeue, dead.discard])
def test_nothing_is_done_without_its_trace(verb, monkeypatch):
    buried = a_dead_run()

    def refuse(**facts):
        raise RuntimeError("no room")

    monkeypatch.setattr(audit, "record", refuse)
    with pytest.raises(RuntimeError):
        verb(buried, actor="ann", reason="x")
    buried.refresh_from_db()
    assert (buried.resolution, buried.run.state) == ("", "dead")
    assert places(buried.run_id) == []


@pytest.mark.parametrize("first", [dead.requeue, dead.discard])
def test_a_second_click_is_refused_and_leaves_no_trace(first):
    buried = a_dead_run()
    first(buried, actor="ann", reason="x")
    with pytest.raises(NotRequeueable, match=r"already (re|dis)"):
        dead.requeue(buried, actor="bob")
    with pytest.raises(NotDiscardable, match=r"already (re|dis)"):
        dead.discard(buried, actor="bob", reason="x")
    assert AuditEntry.objects.count() == 1
    assert client().llen(keys.queue("default")) == (1 if first is dead.requeue else 0)


def test_of_ten_clicks_at_once_one_counts():
    buried = a_dead_run()

    def click(_):
        dead.requeue(DeadJob.objects.get(pk=buried.pk), actor="ann")

    clicked = at_once(click, range(10), refusals=NotRequeueable)
    assert sum(isinstance(one, NotRequeueable) for one in clicked) == 9
    assert client().llen(keys.queue("default")) == 1
    assert JobRun.objects.get().life == 1
    assert AuditEntry.objects.count() == 1


def test_a_rolled_back_requeue_pushes_nothing():
    buried = a_dead_run()
    with transaction.atomic():
        dead.requeue(buried, actor="ann")
        transaction.set_rollback(True)
    assert places(buried.run_id) == []
    assert not AuditEntry.objects.exists()
    dead.requeue(buried, actor="ann")
    assert places(buried.run_id) == ["queued:default"]


def test_a_requeue_while_redis_is_away_is_pushed_later(settings):
    server = EmbeddedServer()
    server.start()
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    server.kill()
    try:
        buried = a_dead_run()
        dead.requeue(buried, actor="ann")
        server.start()
        assert relay() == 1
        assert places(buried.run_id) == ["queued:default"]
    finally:
        server.stop()


def test_a_run_keeps_its_own_number_of_attempts_in_its_next_life(make_job):
    job = make_job(fail, retry=9)
    run = job.using(attempts=1).enqueue(1)
    work_off()
    dead.requeue(dead.matching().get(), actor="ann")
    assert hash_of(run.id)["own_attempts"] == "1"


def test_a_run_without_a_row_at_first_can_be_requeued_too(make_job):
    run = make_job(fail, retry=1, durable=False).enqueue(1)
    work_off()
    dead.requeue(dead.matching().get(), actor="ann")
    assert places(run.id) == ["queued:default"]
    assert hash_of(run.id)["durable"] == "1"


def test_a_unique_run_is_left_alone_while_an_equal_one_is_pending():
    buried = a_dead_run(run={"unique_key": "k"})
    a_run(RunState.QUEUED, unique_key="k")
    with pytest.raises(NotRequeueable, match="an equal run is pending"):
        dead.requeue(buried, actor="ann")
    buried.refresh_from_db()
    assert buried.resolution == ""


def test_of_equal_dead_runs_one_is_requeued():
    for _ in range(3):
        a_dead_run(run={"unique_key": "k"})
    tally = dead.requeue_all(dead.matching(), actor="ann")
    assert (tally.done, tally.left) == (1, Counter({"an equal run is pending": 2}))


def test_an_equal_run_that_comes_meanwhile_leaves_only_its_own_behind(monkeypatch):
    for key in ("a", "b", "c"):
        a_dead_run(run={"unique_key": key})
    a_dead_run(
        RunState.QUEUED,
        run={"unique_key": "b", "ended_at": None},
        resolution="requeued",
        resolved_at="2026-01-01T00:00Z",
    )
    monkeypatch.setattr(dead, "_taken_keys", lambda dead_jobs: set())
    tally = dead.requeue_all(dead.matching(), actor="ann")
    assert (tally.done, tally.left) == (2, Counter({"an equal run is pending": 1}))
    assert client().llen(keys.queue("default")) == 2
    assert AuditEntry.objects.count() == 2


def test_a_run_whose_queue_is_gone_is_left_alone_and_can_be_discarded():
    buried = a_dead_run(run={"queue": "closed"})
    with pytest.raises(NotRequeueable, match='queue "closed" is not in RQ_QUEUES'):
        dead.requeue(buried, actor="ann")
    dead.discard(buried, actor="ann", reason="closed")
    buried.run.refresh_from_db()
    assert buried.run.state == "discarded"


def test_what_retention_removed_meanwhile_is_counted_and_no_error():
    buried = a_dead_run()
    buried.run.delete()
    with pytest.raises(NotRequeueable, match="removed by retention"):
        dead.requeue(buried, actor="ann")


def test_a_burial_of_an_earlier_life_is_not_the_runs_present():
    old = a_dead_run(run={"life": 1}, life=0)
    with pytest.raises(NotRequeueable, match="the run is dead"):
        dead.requeue(old, actor="ann")


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, 4),
        ({"name": "tests.other"}, 1),
        ({"name": "tests"}, 0),
        ({"queue": "low"}, 1),
        ({"error": "timeout"}, 1),
        ({"error": "oserr"}, 3),
        ({"reason": "permanent"}, 1),
        ({"older_than": timedelta(hours=1)}, 1),
        ({"older_than": timedelta(0)}, 4),
        ({"name": "tests.other", "queue": "low"}, 0),
        ({"run_ids": []}, 0),
    ],
)
def test_only_open_burials_that_match_are_found(facts, found):
    a_dead_run(run={"name": "tests.other"}, reason="permanent")
    a_dead_run(run={"queue": "low"}, error_class="TimeoutError")
    a_dead_run(died=timedelta(hours=2))
    a_dead_run()
    a_dead_run(resolution="discarded", resolved_at=timezone.now())
    assert dead.matching(**facts).count() == found


def test_chosen_runs_are_found():
    one, _other = a_dead_run(), a_dead_run()
    assert [found.pk for found in dead.matching(run_ids=[one.run_id])] == [one.pk]


def test_many_are_requeued_in_chunks_with_a_trace_each(monkeypatch):
    monkeypatch.setattr(burials, "_AT_ONCE", 3)
    for _ in range(8):
        a_dead_run()
    looked_at: list[int] = []
    tally = dead.requeue_all(dead.matching(), actor="ann", filter={"name": "x"}, progress=looked_at.append)
    assert (tally.done, tally.left.total()) == (8, 0)
    assert looked_at == [3, 6, 8]
    assert [entry.count for entry in AuditEntry.objects.order_by("id")] == [3, 3, 2]
    assert {entry.filter["name"] for entry in AuditEntry.objects.all()} == {"x"}
    assert client().llen(keys.queue("default")) == 8


@pytest.mark.parametrize(("limit", "done"), [(None, 8), (0, 0), (1, 1), (5, 5), (100, 8)])
def test_no_more_than_the_limit_and_the_oldest_first(monkeypatch, limit, done):
    monkeypatch.setattr(burials, "_AT_ONCE", 3)
    buried = [a_dead_run() for _ in range(8)]
    assert dead.discard_all(dead.matching(), actor="ann", reason="x", limit=limit).done == done
    assert [one.pk for one in dead.matching()] == [one.pk for one in buried[done:]]


def test_progress_that_raises_ends_the_work_and_keeps_what_is_done(monkeypatch):
    monkeypatch.setattr(burials, "_AT_ONCE", 3)
    for _ in range(8):
        a_dead_run()

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dead.requeue_all(dead.matching(), actor="ann", progress=stop)
    assert dead.matching().count() == 5


def test_those_that_die_meanwhile_stay_out(monkeypatch):
    monkeypatch.setattr(burials, "_AT_ONCE", 2)
    for _ in range(4):
        a_dead_run()
    tally = dead.requeue_all(dead.matching(), actor="ann", progress=lambda count: a_dead_run())
    assert tally.done == 4
    assert dead.matching().count() == 2


def test_a_tally_tells_what_was_left_and_why():
    a_dead_run()
    a_dead_run(run={"queue": "closed"})
    a_dead_run(run={"unique_key": "k"})
    a_dead_run(run={"unique_key": "k"})
    tally = dead.requeue_all(dead.matching(), actor="ann")
    assert tally.done == 2
    assert tally.left == {'its queue "closed" is not in RQ_QUEUES': 1, "an equal run is pending": 1}
    assert dead.matching().count() == 2


def test_the_number_of_statements_does_not_follow_the_number_of_dead_jobs():
    def statements(count):
        for _ in range(count):
            a_dead_run(run={"unique_key": uuid.uuid4().hex})
        with CaptureQueriesContext(connection) as captured:
            assert dead.requeue_all(dead.matching(), actor="ann").done == count
        return len(captured)

    assert statements(40) <= statements(2) + 2


def test_listeners_hear_of_each_requeued_job_after_the_commit():
    heard = []

    def listen(dead_job, **facts):
        heard.append(DeadJob.objects.get(pk=dead_job.pk).resolution)

    job_requeued.connect(listen)
    try:
        a_dead_run()
        a_dead_run()
        dead.requeue_all(dead.matching(), actor="ann")
        a_dead_run()
        dead.discard_all(dead.matching(), actor="ann", reason="x")
    finally:
        job_requeued.disconnect(listen)
    assert heard == ["requeued", "requeued"]


def test_an_unknown_job_is_requeued_when_the_code_is_there(make_job):
    run = make_job(lambda: 1, name="shop.tomorrow").enqueue()
    known = registry._jobs.pop("shop.tomorrow")
    attempt_next()
    client().hset(keys.job(str(run.id)), "unknown_since_ms", 1)
    client().zadd(keys.scheduled("default"), {str(run.id): 0}, xx=True)
    tick([], ["default"])
    attempt_next()
    recorder.record_all()
    buried = dead.matching().get()
    assert buried.reason == "unknown_job"
    registry._jobs["shop.tomorrow"] = known
    dead.requeue(buried, actor="ann")
    work_off()
    assert run.state == "succeeded"


def test_a_sample_job_dies_with_its_card_masked():
    sample.charge.enqueue("4000-1234", 17)
    work_off()
    assert "4000-1234" not in JobRun.objects.get().error_message
