"""Fuses as rows and as their copy in Redis: added, told, healed, ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from jobs import fuses
from jobs.broker import fuses as copies
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.errors import BadFuse, BrokerUnavailable, NotLiftable, UnknownJob
from jobs.fuses import looking, operating
from jobs.models import AuditEntry, Fuse
from jobs.signals import job_fused
from tests.engine import a_run
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)
SAYING = {"reason": "it loops", "actor": "ann"}


def add(job="tests.sample.add", **options):
    return fuses.add(job, **{**SAYING, **options})


def age(fuse, **ago):
    Fuse.objects.filter(pk=fuse.pk).update(expires_at=timezone.now() - timedelta(**ago))


def is_over(fuse):
    return copies.published().get(fuse.pk) == copies.OVER


def test_a_fuse_is_a_row_an_audit_entry_and_a_word_to_redis():
    heard = []
    job_fused.connect(lambda fuse, **_: heard.append(fuse.pk), weak=False, dispatch_uid="heard")
    try:
        fuse = add(where={"left": 1}, seconds=60)
    finally:
        job_fused.disconnect(dispatch_uid="heard")
    assert (fuse.name, fuse.action, fuse.where) == ("tests.sample.add", "hold", {"left": 1})
    assert fuse.expires_at - fuse.created_at == timedelta(seconds=60)
    told = AuditEntry.objects.get()
    assert (told.actor, told.action, told.target, told.reason) == ("ann", "add_fuse", f"fuse {fuse.pk}", "it loops")
    assert list(copies.published()) == [fuse.pk]
    assert heard == [fuse.pk]


def test_the_bare_name_of_a_function_will_do():
    assert add("kill_worker").name == "tests.sample.kill_worker"


def test_a_fuse_that_is_rolled_back_was_never_told():
    with transaction.atomic():
        add()
        transaction.set_rollback(True)
    assert copies.published() == {}
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"job": "tests.sample.ad"}, UnknownJob),
        ({"where": {"middle": 1}}, BadFuse),
        ({"action": "slow"}, BadFuse),
        ({"seconds": 0}, BadFuse),
        ({"reason": " "}, BadFuse),
    ],
)
def test_a_fuse_that_cannot_be_leaves_nothing(options, error):
    with pytest.raises(error):
        add(**options)
    assert not Fuse.objects.exists()
    assert not AuditEntry.objects.exists()


def test_runs_of_a_job_that_is_gone_from_the_code_can_be_held():
    a_run("queued", name="shop.renamed")
    assert add("shop.renamed").name == "shop.renamed"


def test_the_same_runs_get_one_fuse_at_a_time():
    first = add()
    with pytest.raises(BadFuse, match="already"):
        add(action="discard")
    assert add(where={"left": 1}).pk != first.pk
    fuses.lift(first, actor="ann")
    assert add().pk != first.pk


def test_there_are_no_more_fuses_than_a_claim_can_look_at(monkeypatch):
    monkeypatch.setattr(operating, "MOST", 1)
    add()
    with pytest.raises(BadFuse, match="Lift some first"):
        add("urgent")


def test_a_lifted_fuse_is_over_at_once_and_forgotten_when_it_holds_nothing():
    fuse = add()
    fuses.lift(fuse, actor="bob", reason="mended")
    assert is_over(fuse)
    assert AuditEntry.objects.filter(action="lift_fuse", actor="bob", reason="mended").count() == 1
    fuses.tend()
    assert copies.published() == {}
    fuse.refresh_from_db()
    assert fuse.released_at is not None


def test_a_fuse_is_lifted_once():
    fuse = add()
    fuses.lift(fuse, actor="bob")
    with pytest.raises(NotLiftable):
        fuses.lift(Fuse.objects.get(), actor="bob")
    assert AuditEntry.objects.filter(action="lift_fuse").count() == 1


def test_a_fuse_ends_by_itself_when_its_time_is_over():
    fuse = add()
    age(fuse, seconds=1)
    fuses.tend()
    fuse.refresh_from_db()
    assert (fuse.ended_by, fuse.ended_at is not None) == ("expiry", True)
    assert AuditEntry.objects.get(action="lift_fuse").actor == "expiry"


def test_what_redis_lost_is_told_again():
    fuse = add()
    before = copies.published()
    client().flushall()
    fuses.tend()
    assert copies.published() == before == {fuse.pk: before[fuse.pk]}


def test_what_redis_has_from_an_old_snapshot_is_over():
    fuse = add()
    snapshot = copies.published()
    fuses.lift(fuse, actor="ann")
    fuses.tend()
    client().rpush(keys.lane(keys.fuse_lane(fuse.pk, "default")), "an-id")
    copies.publish({**snapshot, 4711: "what is this"})
    fuses.tend()
    # What it has in its lane is to come out; the other one has nothing.
    assert copies.published() == {fuse.pk: copies.OVER}


def test_while_redis_is_away_a_fuse_is_stored_and_told_later(monkeypatch):
    def away(*_):
        raise BrokerUnavailable("away")

    with monkeypatch.context() as without:
        without.setattr(copies, "publish", away)
        fuse = add()
    assert copies.published() == {}
    fuses.tend()
    assert list(copies.published()) == [fuse.pk]


def test_a_key_of_another_type_makes_no_harm(caplog):
    client().set("jobs:fuses", "mine")
    assert copies.published() == {}
    assert "in use for something else" in caplog.text


def test_tending_again_and_again_writes_nothing(django_assert_num_queries):
    add()
    fuses.tend()
    with django_assert_num_queries(1):
        fuses.tend()


def test_a_preview_counts_what_waits_by_queue_and_changes_nothing():
    for left, queue in ((1, "default"), (1, "low"), (2, "default")):
        sample.add.using(queue=queue).enqueue(left, 2)
    sample.add.enqueue_in(60, left=1, right=3)
    a_run("succeeded", arguments={"left": 1, "right": 2})
    sample.urgent.enqueue(1)
    assert fuses.preview("tests.sample.add").by_queue == {"default": 3, "low": 1}
    assert fuses.preview("add", {"left": 1}).by_queue == {"default": 2, "low": 1}
    assert fuses.preview("add", {"left": 1, "right": 3}).count == 1
    assert fuses.preview("add", {"left": "1"}).count == 0
    assert not Fuse.objects.exists()


def test_a_preview_counts_what_left_an_argument_out():
    sample.flood.enqueue(1)
    a_run("queued", name="tests.sample.flood", arguments={"number": 1})
    a_run("queued", name="tests.sample.flood", arguments={"number": 1, "fails": False})
    a_run("queued", name="tests.sample.flood", arguments={"number": 1, "fails": True})
    assert fuses.preview("flood", {"fails": False}).count == 2
    assert fuses.preview("flood", {"fails": True}).count == 1


def test_a_preview_counts_no_further_than_it_tells(monkeypatch):
    monkeypatch.setattr(looking, "COUNT_CAP", 2)
    sample.add.enqueue_many([(1, 2)] * 3)
    seen = fuses.preview("add")
    assert (seen.count, seen.capped) == (2, True)


def test_fuses_that_were_over_long_ago_are_pruned():
    old, young, there = add(), add(where={"left": 1}), add(where={"left": 2})
    fuses.lift(old, actor="ann")
    fuses.lift(young, actor="ann")
    fuses.tend()
    assert not fuses.is_anything_prunable()
    Fuse.objects.filter(pk=old.pk).update(released_at=timezone.now() - fuses.KEPT - timedelta(hours=1))
    assert fuses.is_anything_prunable()
    assert fuses.prune() == 1
    assert set(Fuse.objects.values_list("pk", flat=True)) == {young.pk, there.pk}


def test_a_secret_in_a_reason_is_neither_kept_nor_audited():
    fuse = add(reason="it loops: password=hunter2")
    assert (fuse.reason, AuditEntry.objects.get().reason) == ("it loops: password=[redacted]",) * 2
