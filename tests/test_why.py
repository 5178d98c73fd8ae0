"""Why a run is not running: each reason as it really comes about, in a real server and real rows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import (
    DiscardJob,
    PutOffJob,
    Unique,
    at_once,
    circuits,
    conf,
    fuses,
    per_window,
    queues,
    recorder,
    registry,
    why,
)
from jobs.broker import epoch, keys
from jobs.broker import locks as server
from jobs.broker.connection import client as redis
from jobs.broker.locks import Holder
from jobs.broker.push import withdraw
from jobs.broker.settle import settle
from jobs.circuits import Circuit
from jobs.locks import lock
from jobs.models import JobRun
from jobs.policy.reasons import Reason, Why
from jobs.registry import Job
from jobs.relay import relay
from jobs.worker import lifecycle
from tests.engine import WORKER, claim, make_job, work_off

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db


def _do(customer: int = 0) -> None: ...


def _lives(name: str = "w1", *queues: str, state: str = "idle") -> None:
    """A worker as RQ's list has it."""
    redis().hset(keys.worker(name), mapping={"state": state})
    for key in ("rq:workers", *(f"rq:workers:{queue}" for queue in queues)):
        redis().sadd(key, keys.worker(name))


@pytest.fixture
def worker() -> None:
    """A live worker of all queues that takes nothing by itself."""
    _lives("w1", *conf.queue_names())


@pytest.fixture
def do(make_job) -> Job:
    return make_job(_do, "tests.do")


def asked(job: Any, *arguments: Any) -> JobRun:
    """A run that was asked for and pushed."""
    run = job.enqueue(*arguments)
    relay(min_age=None)
    return JobRun.objects.get(pk=run.id)


def found(run: JobRun) -> list[Reason]:
    return why.of(JobRun.objects.get(pk=run.pk)).reasons


def first(run: JobRun) -> Reason:
    reason = found(run)[0]
    assert why.told(reason).text
    return reason


def whys(run: JobRun) -> list[Why]:
    return [reason.why for reason in found(run)]


def test_nothing_keeps_the_next_one(do: Job, worker: None) -> None:
    assert whys(asked(do)) == [Why.NEXT]


def test_it_was_not_pushed(do: Job, worker: None) -> None:
    run = JobRun.objects.get(pk=do.enqueue().id)
    withdraw(run.rq_id, queue=run.queue, life=run.life)
    redis().delete(keys.job(run.rq_id))
    assert first(run).why is Why.NOT_PUSHED
    assert first(run).since == run.created_at


def test_it_is_due_later(do: Job, worker: None) -> None:
    run = asked(do.using(at=timedelta(hours=2)))
    assert first(run).why is Why.DUE_LATER
    assert first(run).until is not None


def test_it_failed_and_is_tried_again(make_job, worker: None) -> None:
    def fail() -> None:
        raise ValueError("no luck")

    run = asked(make_job(fail, "tests.fail", retry=3))
    work_off()
    assert first(run).why is Why.RETRY_LATER
    assert why.told(first(run)).text == "Attempt 1 of 3 failed (ValueError: no luck)."


def test_it_was_put_off(make_job, worker: None) -> None:
    def put_off() -> None:
        raise PutOffJob(60, "the file is not there")

    run = asked(make_job(put_off, "tests.put_off"))
    work_off()
    assert first(run).why is Why.PUT_OFF
    assert why.told(first(run)).text == "the file is not there."


def test_its_queue_is_paused(do: Job, worker: None) -> None:
    queues.pause("default", actor="ada", reason="the gateway moves")
    run = asked(do)
    assert whys(run) == [Why.PAUSED]
    assert why.told(first(run)).text == "default was paused by ada: the gateway moves."
    assert first(run).since is not None


def test_no_worker_lives(do: Job) -> None:
    run = asked(do)
    assert whys(run) == [Why.NO_WORKER]
    assert "rqworker default" in why.told(first(run)).cure


def test_no_worker_works_on_its_queue(do: Job) -> None:
    _lives("w1", "mailers")
    assert first(asked(do)).why is Why.QUEUE_UNSERVED


def test_all_its_workers_are_quiet(do: Job) -> None:
    _lives("w1", "default", state="suspended")
    assert first(asked(do)).why is Why.QUIET


def test_others_are_ahead_of_it(do: Job, worker: None) -> None:
    for _ in range(3):
        asked(do)
    reason = first(asked(do))
    assert reason.why is Why.AHEAD
    assert reason.facts["count"] == 3
    assert why.told(reason).text.startswith("3 runs of default start before it; none has started")


def test_how_long_it_takes_is_told_by_the_rate_of_the_queue(do: Job, worker: None) -> None:
    for _ in range(3):
        asked(do)
    settle(WORKER, [lifecycle.attempt(claim()[0], worker=WORKER.name)])
    recorder.record_all()
    reason = first(asked(do))
    assert reason.facts["count"] == 2
    assert reason.until is not None
    assert reason.until > timezone.now()


def test_a_slot_is_held(make_job, worker: None) -> None:
    job = make_job(_do, "tests.limited", limits=[at_once(1, key="customer")])
    holder, waiting, last = asked(job, 7), asked(job, 7), asked(job, 7)
    claim(5)
    reason = first(waiting)
    assert reason.why is Why.SLOT
    assert reason.since is not None
    assert why.told(reason).run == str(holder.pk)
    assert "tests.limited[customer]: 1 of 1 at once are taken." in why.told(reason).text
    assert "It is the first of its lane." in why.told(reason).text
    assert "1 run is ahead of it in its lane." in why.told(first(last)).text
    assert whys(holder) == [Why.RUNNING]


def test_a_window_is_full(make_job, worker: None) -> None:
    job = make_job(_do, "tests.limited", limits=[per_window(1, seconds=60, name="crm")])
    asked(job, 1)
    run = asked(job, 2)
    assert len(claim(5)) == 1
    reason = first(run)
    assert reason.why is Why.RATE_LIMIT
    assert "crm: 1 of 1 in 60 s have started." in why.told(reason).text
    assert reason.until is not None
    assert timezone.now() < reason.until < timezone.now() + timedelta(seconds=61)


def test_a_limited_run_has_its_turn_soon(make_job, worker: None) -> None:
    job = make_job(_do, "tests.limited", limits=[at_once(1, key="customer")])
    assert first(asked(job, 1)).why is Why.NEXT


def test_a_lock_is_held(make_job, worker: None) -> None:
    def take() -> None:
        with lock("tests.stock"):
            pass

    run = asked(make_job(take, "tests.take"))
    holder = Holder(host="web1", process=7, worker="w9", job="tests.other", run=str(UUID(int=7)))
    server.acquire("tests.stock", token="theirs", life_seconds=60, holder=holder)
    work_off()
    reason = first(run)
    assert reason.why is Why.LOCK
    assert "The lock tests.stock is held by tests.other" in why.told(reason).text
    assert why.told(reason).run == holder.run
    assert reason.since is not None
    server.release("tests.stock", token="theirs")
    assert "It is free by now." in why.told(first(run)).text


def test_a_circuit_is_open(make_job, worker: None) -> None:
    partner = Circuit("tests.partner")
    run = asked(make_job(_do, "tests.call", circuit=partner))
    circuits.force_open("tests.partner", actor="ada", reason="they asked us to")
    assert whys(run) == [Why.CIRCUIT]
    work_off()
    reason = first(run)
    assert reason.why is Why.CIRCUIT
    assert why.told(reason).text == "The circuit tests.partner is open by ada: they asked us to."


@pytest.mark.django_db(transaction=True)
def test_a_fuse_keeps_it(do: Job, worker: None) -> None:
    fuses.add(do.name, actor="ada", reason="it mails everybody")
    run = asked(do)
    assert claim() == []
    reason = first(run)
    assert reason.why is Why.FUSE
    assert "by ada: it mails everybody" in why.told(reason).text
    assert whys(run) == [Why.FUSE]


def test_the_workers_release_does_not_know_the_job(do: Job, worker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    run = asked(do)
    monkeypatch.setattr(registry, "_jobs", {name: job for name, job in registry._jobs.items() if name != do.name})
    assert whys(run) == [Why.UNKNOWN_JOB]
    work_off()
    assert first(run).why is Why.UNKNOWN_JOB
    assert "tried again for an hour" in why.told(first(run)).text


def test_claims_stand_still_until_redis_was_compared(do: Job, worker: None) -> None:
    run = asked(do)
    epoch.refuse()
    assert whys(run) == [Why.NOT_COMPARED]


def test_claims_stand_still_while_the_journal_is_full(do: Job, worker: None, settings: Any) -> None:
    run = asked(do)
    redis().xadd(keys.JOURNAL, {"e": '{"entry":"wake"}'})
    settings.JOBS = {**settings.JOBS, "JOURNAL_LIMIT": 1}
    assert first(run).why is Why.JOURNAL_FULL


def test_the_recorder_is_behind(do: Job, worker: None) -> None:
    run = asked(do)
    redis().xadd(keys.JOURNAL, {"e": '{"entry":"wake"}'}, id=f"{int((time.time() - 60) * 1000)}-0")
    assert whys(run) == [Why.NEXT, Why.RECORDER_BEHIND]


def test_it_is_in_no_place(do: Job, worker: None) -> None:
    run = asked(do)
    JobRun.objects.filter(pk=run.pk).update(pushed_at=timezone.now())
    redis().delete(keys.queue("default"))
    assert first(run).why is Why.LOST
    redis().delete(keys.job(run.rq_id))
    assert first(run).why is Why.LOST
    assert first(run).until is not None


def test_a_suspect_waits_alone(do: Job, worker: None) -> None:
    run = asked(do)
    redis().rename(keys.queue("default"), keys.queue(keys.suspects("default")))
    assert first(run).why is Why.ISOLATED


def test_it_runs(do: Job, worker: None) -> None:
    run = asked(do)
    claim()
    reason = first(run)
    assert reason.why is Why.RUNNING
    assert reason.facts["worker"] == WORKER.name
    redis().zadd(keys.LEASES, {WORKER.id: 1})
    assert first(run).why is Why.LEASE_ENDED
    redis().zadd(keys.LEASES, {WORKER.id: int(time.time() * 1000) + 60_000})
    redis().set(keys.stop(run.rq_id), "{}")
    assert first(run).why is Why.STOPPING


def test_it_has_ended(make_job, worker: None) -> None:
    def leave() -> None:
        raise DiscardJob

    run = asked(make_job(leave, "tests.leave"))
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    settle(WORKER, [settlement])
    assert first(run).why in (Why.ENDED_UNRECORDED, Why.NOT_PUSHED)
    recorder.record_all()
    assert first(run).why is Why.ENDED


def test_a_dead_one_of_a_unique_job_cannot_be_retried_beside_its_equal(make_job, worker: None) -> None:
    def fail() -> None:
        raise ValueError

    job = make_job(fail, "tests.unique", retry=1, unique=Unique())
    dead = asked(job)
    work_off()
    pending = asked(job)
    assert whys(dead) == [Why.DEAD, Why.UNIQUE]
    assert why.told(found(dead)[1]).run == str(pending.pk)


def test_without_redis_it_is_said_what_was_not_looked_at(do: Job, worker: None, redis_away: Any) -> None:
    run = JobRun.objects.get(pk=do.using(at=timedelta(hours=1)).enqueue().id)
    answer = why.of(run)
    assert [reason.why for reason in answer.reasons] == [Why.REDIS_AWAY, Why.DUE_LATER]
    assert Why.NO_WORKER in answer.unchecked
    assert Why.CIRCUIT in answer.unchecked


def test_plain_rqs_job_waits_for_another_one(worker: None) -> None:
    parent, child = "parent", "child"
    redis().hset(keys.job(parent), mapping={"status": "started", "origin": "default"})
    redis().hset(keys.job(child), mapping={"status": "deferred", "origin": "default", "description": "shop.tell(1)"})
    redis().sadd(f"rq:job::{child}:dependencies", keys.job(parent))
    answer = why.of_id(child)
    assert answer is not None
    assert [reason.why for reason in answer.reasons] == [Why.PARENT]
    redis().hset(keys.job(parent), "status", "failed")
    answer = why.of_id(child)
    assert answer is not None
    assert [reason.why for reason in answer.reasons] == [Why.PARENT_DEAD]


def command(run: object, **options: Any) -> str:
    out = StringIO()
    call_command("jobs_why", str(run), stdout=out, **options)
    return out.getvalue()


def test_the_command_tells_it(do: Job) -> None:
    run = asked(do)
    assert "No live worker. No worker process lives, for any queue." in command(run.pk)
    told = json.loads(command(run.pk, as_json=True))
    assert told["why"] == "no-worker"
    assert [each["why"] for each in told["reasons"]] == ["no-worker"]
    with pytest.raises(CommandError, match="No run has the id nobody"):
        command("nobody")


def test_a_foreign_run_is_known_by_either_id(do: Job, worker: None) -> None:
    run = asked(do)
    JobRun.objects.filter(pk=run.pk).update(rq_id="nightly")
    assert json.loads(command(run.pk, as_json=True))["run"] == str(run.pk)
    assert json.loads(command("nightly", as_json=True))["run"] == str(run.pk)


@pytest.mark.django_db(transaction=True)
def test_a_run_without_a_row_is_told_of_too(make_job, worker: None) -> None:
    run = make_job(_do, "tests.flood", durable=False).enqueue()
    assert "tests.flood" in command(run.id)
    assert "It is the next one." in command(run.id)


def test_looking_changes_nothing(make_job, worker: None, digest: Callable[[], str]) -> None:
    job = make_job(_do, "tests.limited", limits=[at_once(1, key="customer"), per_window(5, seconds=60, name="crm")])
    runs = [asked(job, 7) for _ in range(3)]
    claim(1)
    before = digest()
    for run in runs:
        found(run)
    assert digest() == before


@pytest.fixture
def digest() -> Callable[[], str]:
    """All keys of the server and what is in them."""
    reads: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": lambda key: sorted(redis().hgetall(key).items()),
        b"set": lambda key: sorted(redis().smembers(key)),
        b"list": lambda key: redis().lrange(key, 0, -1),
        b"zset": lambda key: redis().zrange(key, 0, -1, withscores=True),
        b"stream": lambda key: redis().xrange(key),
        b"string": lambda key: redis().get(key),
    }
    return lambda: repr([(key, reads[redis().type(key)](key)) for key in sorted(redis().keys())])


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server listens where Redis was."""
    queues = {name: {**options, "URL": "redis://127.0.0.1:1/0"} for name, options in settings.RQ_QUEUES.items()}
    monkeypatch.setattr(settings, "RQ_QUEUES", queues)


def test_ids_that_are_none_are_no_run_of_ours() -> None:
    assert why.of_id(str(UUID(int=0))) is None
