"""Who works, as processes and supervisors beat, and as it was stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import conf, workers
from jobs.broker import fleet, keys
from jobs.broker.connection import client
from jobs.broker.lua import run
from jobs.broker.schedule import tick_and_beat
from jobs.errors import BrokerUnavailable, NotOrderable
from jobs.models import AuditEntry, WorkerProcess, WorkerRelease
from jobs.worker.registration import Registration
from tests import engine
from tests.sample.jobs import add

SUPERVISOR = "web1.7/7-cafe"
WHO = {"actor": "ann", "address": "1.2.3.4"}


@pytest.fixture(autouse=True)
def _database(transactional_db):
    pass


def a_process(name="tester", own_id=engine.WORKER.id, *, busy=0, **facts):
    told = {"id": own_id, "kind": "child", "supervisor": SUPERVISOR, "threads": 10, "release": "r1", **facts}
    registration = Registration(name, ["critical", "default"], facts=told)
    registration.birth()
    registration.beat(busy=busy)
    return registration


def a_supervisor(own_id=SUPERVISOR, host="web1", **record):
    told = {"name": "web1.7", "host": host, "pid": 7, "release": "r1", "queues": "critical,default", **record}
    name, arguments = fleet.beat_call(own_id, {"state": "working", **told})
    return run(name, arguments).decode()


def test_hosts_have_supervisors_have_processes_have_runs():
    asked = add.enqueue(1, 2)
    a_supervisor()
    a_process(busy=1)
    engine.claim()
    (host,) = workers.standings().hosts
    (supervisor,) = host.supervisors
    (process,) = supervisor.processes
    assert (host.name, supervisor.name, supervisor.is_live) == ("web1", "web1.7", True)
    assert (process.name, process.threads, process.busy, process.release) == ("tester", 10, 1, "r1")
    assert process.queues == ("critical", "default")
    assert process.rss > 1_000_000
    assert not process.is_stale
    (run_now,) = process.runs
    assert (run_now.run_id, run_now.job, run_now.queue) == (str(asked.id), add.name, "default")


def test_a_process_is_stale_when_its_lease_has_ended():
    a_process()
    engine.claim()
    assert [one.is_stale for one in workers.standings().processes] == [False]
    client().zadd(keys.LEASES, {engine.WORKER.id: 1})
    assert [one.is_stale for one in workers.standings().processes] == [True]
    assert workers.live() == []


def test_a_worker_of_plain_rq_is_none_of_ours():
    client().sadd(keys.WORKERS, keys.worker("stranger"))
    client().hset(keys.worker("stranger"), "queues", "default")
    assert workers.standings().processes == []


def test_what_is_damaged_is_shown_as_nothing():
    a_process()
    client().hset(keys.worker("tester"), keys.FACTS, '{"threads": "many", "rss": -1, "id": 5}')
    client().hset(keys.worker("tester"), "last_heartbeat", "yesterday")
    client().zadd(keys.SUPERVISORS, {"nobody": 1})
    client().set(keys.supervisor("nobody"), "x")
    (process,) = workers.standings().processes
    assert (process.threads, process.rss, process.id, process.seen_at) == (0, 0, "", None)
    workers.note()


def test_what_was_beaten_is_stored_and_stands_in_while_redis_is_away(settings):
    a_supervisor()
    a_process(busy=3)
    workers.note()
    a_process(busy=4, release="r2")
    workers.note()
    assert WorkerProcess.objects.get().release == "r2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet, "look", away)
        stored = workers.standings()
    assert not stored.answers
    assert stored.stored_at is not None
    assert [(one.name, one.busy, one.host) for one in stored.processes] == [
        ("tester", 4, WorkerProcess.objects.get().host)
    ]


def away(**_):
    raise BrokerUnavailable("away")


def test_a_release_is_marked_when_it_is_first_seen():
    before = timezone.now() - timedelta(minutes=1)
    a_process()
    workers.note()
    workers.note()
    a_process("other", "other/2-beef", release="r2")
    workers.note()
    assert [release for release, _ in workers.releases(before)] == ["r1", "r2"]
    assert workers.releases(timezone.now()) == []
    assert workers.standings().releases == ["r1", "r2"]


def test_what_was_seen_long_ago_is_deleted_at_night():
    a_process()
    workers.note()
    assert not workers.is_anything_prunable()
    WorkerProcess.objects.update(seen_at=timezone.now() - timedelta(days=15))
    WorkerRelease.objects.update(last_seen_at=timezone.now() - timedelta(days=15))
    assert workers.is_anything_prunable()
    assert workers.prune() == 2


def test_a_supervisor_hears_what_it_is_asked_and_who_asked_sees_it_done():
    assert a_supervisor() == ""
    assert workers.quiet(supervisor=SUPERVISOR, reason="it swaps", **WHO) == [SUPERVISOR]
    (asked,) = fleet.look().supervisors
    assert (asked.waits_for, asked.asked_by) == ("quiet", "ann")
    assert asked.asked_at is not None
    assert a_supervisor() == "quiet"
    a_supervisor(state="quiet")
    assert fleet.look().supervisors[0].waits_for == ""
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("quiet_worker", f"supervisor {SUPERVISOR}", "it swaps")


def test_a_host_is_asked_as_a_whole_and_a_stop_is_not_taken_back():
    a_supervisor("one", "web1")
    a_supervisor("two", "web1")
    a_supervisor("three", "web2")
    assert sorted(workers.stop(host="web1", reason="it goes", **WHO)) == ["one", "two"]
    workers.quiet(supervisor="one", reason="or so", **WHO)
    assert [a_supervisor(one, "web1") for one in ("one", "two")] == ["stop", "stop"]
    assert a_supervisor("three", "web2") == ""


def test_nobody_is_asked_who_does_not_live():
    with pytest.raises(NotOrderable, match="no live host web9"):
        workers.stop(host="web9", reason="it goes", **WHO)
    assert not AuditEntry.objects.exists()


def test_an_order_goes_with_its_supervisor():
    a_supervisor()
    workers.stop(supervisor=SUPERVISOR, **WHO)
    fleet.leave(SUPERVISOR)
    assert fleet.look().supervisors == []
    assert a_supervisor() == ""


def test_a_record_that_cannot_be_written_does_not_keep_a_supervisor_from_its_work():
    client().set(keys.supervisor(SUPERVISOR), "x")
    state, order = tick_and_beat([], conf.queue_names(), fleet.beat_call(SUPERVISOR, {"name": "x"}))
    assert (state.suspects, order) == (0, "")


def test_a_record_that_was_deleted_is_told_anew():
    registration = a_process()
    client().delete(keys.worker("tester"))
    registration.beat(busy=2)
    (process,) = workers.standings().processes
    assert (process.busy, process.queues) == (2, ("critical", "default"))
