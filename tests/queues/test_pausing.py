"""A paused queue: its row, what Redis is told, and that claims obey."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import at_once, fuses, queues, reconciling
from jobs.broker import claim as claims
from jobs.broker import epoch, keys, pauses
from jobs.broker.connection import client
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle
from jobs.broker.waiting import Waiting
from jobs.errors import NotPausable, NotResumable, UnknownQueue
from jobs.models import AuditEntry, QueuePause
from jobs.testing import drain
from tests import engine
from tests.engine import make_job
from tests.sample.jobs import add

__all__ = ["make_job"]

WHO = {"actor": "ann", "address": "1.2.3.4"}


@pytest.fixture(autouse=True)
def _database(transactional_db):
    pass


def pause(queue="default", **words):
    return queues.pause(queue, **{"reason": "the partner is down", **WHO, **words})


def test_a_paused_queue_gives_nothing_and_a_resumed_one_gives_it_in_order():
    first, second = add.enqueue(1, 2), add.enqueue(3, 4)
    pause()
    assert engine.claim(5) == []
    queues.resume("default", **WHO)
    assert [claim.run_id for claim in engine.claim(5)] == [str(first.id), str(second.id)]


def test_other_queues_go_on_and_the_claim_says_which_are_paused():
    add.enqueue(1, 2)
    other = add.using(queue="low").enqueue(3, 4)
    pause()
    claimed = engine.claim(5)
    assert [claim.run_id for claim in claimed] == [str(other.id)]
    assert claimed.paused == {"default"}


def test_a_pause_is_a_row_and_an_entry_of_the_audit():
    row = pause(until=timezone.now() + timedelta(hours=2))
    queues.resume("default", reason="it is back", **WHO)
    row.refresh_from_db()
    assert (row.actor, row.resumed_by) == ("ann", "ann")
    told = AuditEntry.objects.order_by("pk").values_list("action", "target", "reason", "address")
    assert list(told) == [
        ("pause_queue", "queue default", "the partner is down", "1.2.3.4"),
        ("resume_queue", "queue default", "it is back", "1.2.3.4"),
    ]


def test_a_second_pause_changes_nothing_and_says_who_was_first():
    pause()
    with pytest.raises(NotPausable, match="paused already by ann"):
        pause(actor="bob")
    assert QueuePause.objects.count() == 1


def test_what_cannot_be_paused_is_refused():
    with pytest.raises(UnknownQueue, match='mean "default"'):
        pause("defalt")
    with pytest.raises(NotPausable, match="Say why"):
        pause(reason=" ")
    with pytest.raises(NotPausable, match="is over"):
        pause(until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(NotResumable):
        queues.resume("default", **WHO)


def test_a_pause_that_was_rolled_back_is_told_to_nobody():
    with transaction.atomic():
        pause()
        transaction.set_rollback(True)
    assert pauses.published() == {}


def test_a_pause_ends_by_itself_for_claims_and_in_its_row():
    run = add.enqueue(1, 2)
    row = pause(until=timezone.now() + timedelta(hours=1))
    QueuePause.objects.update(until=timezone.now() - timedelta(seconds=1))
    queues.tend()
    row.refresh_from_db()
    assert row.resumed_by == "expiry"
    assert row.resumed_at == row.until
    assert AuditEntry.objects.filter(action="resume_queue", actor="expiry").count() == 1
    assert [claim.run_id for claim in engine.claim()] == [str(run.id)]


def test_a_claim_knows_by_the_clock_that_a_pause_is_over():
    run = add.enqueue(1, 2)
    client().hset(keys.PAUSED, "default", int((timezone.now() - timedelta(seconds=1)).timestamp() * 1000))
    assert [claim.run_id for claim in engine.claim()] == [str(run.id)]


def test_redis_is_told_again_of_what_it_lost_and_forgets_what_no_row_says():
    add.enqueue(1, 2)
    pause()
    client().delete(keys.PAUSED)
    client().hset(keys.PAUSED, mapping={"low": 0, "critical": "nonsense"})
    queues.tend()
    assert pauses.published() == {"default": 0}
    assert engine.claim() == []


def test_a_server_that_lost_everything_knows_of_the_pause_before_anything_is_claimed():
    run = add.enqueue(1, 2)
    pause()
    client().flushall()
    reconciling.reconcile("tests")
    assert epoch.look().is_current
    assert engine.claim() == []
    queues.resume("default", **WHO)
    assert [claim.run_id for claim in engine.claim()] == [str(run.id)]


def test_a_key_that_is_no_hash_pauses_nothing():
    run = add.enqueue(1, 2)
    client().set(keys.PAUSED, "x")
    assert [claim.run_id for claim in engine.claim()] == [str(run.id)]
    queues.tend()


def test_what_is_due_becomes_ready_in_a_paused_queue():
    run = add.enqueue_in(3600, 1, 2)
    pause()
    client().zadd(keys.scheduled("default"), {str(run.id): 1})
    tick([], ["default"])
    assert engine.places(run.id) == ["queued:default"]
    assert engine.claim() == []


def test_suspects_of_a_paused_queue_wait_and_no_process_is_started_for_them():
    run = add.enqueue(1, 2)
    client().rpoplpush(keys.queue("default"), keys.queue(keys.suspects("default")))
    assert tick([], [keys.suspects("default")]).suspects == 1
    pause()
    assert tick([], [keys.suspects("default")]).suspects == 0
    assert engine.claim(queues=[keys.suspects("default")]) == []
    queues.resume("default", **WHO)
    assert [one.run_id for one in engine.claim(queues=[keys.suspects("default")])] == [str(run.id)]


def test_what_a_fuse_held_does_not_start_in_a_paused_queue():
    add.enqueue(1, 2)
    fuse = fuses.add(add.name, reason="broken", actor="ann")
    assert engine.claim() == []
    pause()
    fuses.lift(fuse, actor="ann")
    assert engine.claim() == []
    queues.resume("default", **WHO)
    assert len(engine.claim()) == 1


def test_who_waits_is_not_woken_by_a_paused_queue_and_is_by_another():
    waiting = Waiting(["default", "low"])
    try:
        add.enqueue(1, 2)
        began = time.monotonic()
        waiting.wait(0.3, for_work=True, but={"default"})
        assert time.monotonic() - began >= 0.29
        add.using(queue="low").enqueue(1, 2)
        began = time.monotonic()
        waiting.wait(10, for_work=True, but={"default"})
        assert time.monotonic() - began < 5
    finally:
        waiting.close()


def test_a_test_that_drains_leaves_a_paused_queue_alone():
    held, other = add.enqueue(1, 2), add.using(queue="low").enqueue(3, 4)
    pause()
    assert drain().counts == {"done": 1}
    assert (held.state, other.state) == ("queued", "succeeded")


def test_a_lane_of_a_paused_queue_takes_nobodys_turn(make_job):
    crawl = make_job(lambda site="": None, "tests.crawl", limits=[at_once(1)])
    held = crawl.using(queue="low").enqueue("a")
    assert [one.run_id for one in engine.claim()] == [str(held.id)]
    for number in range(3):
        crawl.enqueue(f"paused {number}")
    other = crawl.using(queue="low").enqueue("b")
    # All ask for the slot, and are parked in this order.
    assert engine.claim(5, worker=engine.OTHER) == []
    pause()
    claimed = claims.held_by(engine.WORKER.id)
    settle(engine.WORKER, [Settlement(claimed[0], "end")])
    assert [one.run_id for one in engine.claim()] == [str(other.id)]
    queues.resume("default", **WHO)
    assert engine.claim(worker=engine.OTHER) == []
