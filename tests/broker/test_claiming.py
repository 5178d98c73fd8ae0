"""Runs are taken in order, each by one worker, and none is only in a process's memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rq.registry import StartedJobRegistry

from jobs.broker import claim as claims
from jobs.broker import journal, keys
from jobs.broker.claim import WorkerId
from jobs.broker.connection import client
from jobs.broker.settle import Settlement, settle
from jobs.errors import BrokerUnavailable
from jobs.rq_classes import JobsQueue
from tests.at_once import at_once
from tests.broker.messages import pushed
from tests.engine import OTHER, WORKER, claim, hash_of, places


def ids(claimed):
    return [one.run_id for one in claimed]


def test_runs_are_taken_in_the_order_they_were_pushed():
    wanted = pushed(3)
    assert ids(claim(2)) == wanted[:2]
    assert ids(claim(2)) == wanted[2:]
    assert claim(2) == []


def test_a_queue_is_emptied_before_the_next_one_is_looked_at():
    low, urgent = pushed(2, queue="low"), pushed(2, queue="critical")
    assert ids(claim(3, queues=["critical", "low"])) == [*urgent, low[0]]


def test_queues_that_were_not_asked_for_are_left_alone():
    (run_id,) = pushed(queue="low")
    assert claim(5, queues=["critical", "default"]) == []
    assert places(run_id) == ["queued:low"]


def test_a_claimed_run_is_in_one_place_and_under_a_lease():
    (run_id,) = pushed()
    (taken,) = claim()
    assert places(run_id) == ["started:default"]
    assert hash_of(run_id)["status"] == "started"
    assert [one.token for one in claims.held_by(WORKER.id)] == [taken.token]
    assert client().zscore(keys.LEASES, WORKER.id) > 0


def test_an_attempt_is_counted_before_it_starts():
    (run_id,) = pushed(begun=2)
    (taken,) = claim()
    assert taken.attempt == 3
    assert hash_of(run_id)["attempts"] == "3"


def test_a_claim_without_room_takes_nothing():
    pushed()
    assert claim(0) == []


def test_two_workers_never_get_the_same_run():
    wanted = pushed(200)
    got: list[str] = []

    def work(number: int) -> None:
        worker = WorkerId(f"w{number}", f"w{number}/1")
        while taken := claim(3, worker=worker):
            got.extend(ids(taken))

    at_once(work, range(8))
    assert sorted(got) == sorted(wanted)


def test_rqs_own_cleanup_leaves_a_started_run_alone():
    (run_id,) = pushed()
    claim()
    registry = StartedJobRegistry(queue=JobsQueue("default"))
    registry.cleanup()
    assert len(registry) == 1
    assert places(run_id) == ["started:default"]
    assert hash_of(run_id)["status"] == "started"


def test_a_second_copy_of_an_id_is_dropped():
    (run_id,) = pushed()
    client().rpush(keys.queue("default"), run_id)
    (taken,) = claim(2)
    assert places(run_id) == ["started:default"]
    settle(WORKER, [Settlement(taken, "end")])
    client().rpush(keys.queue("default"), run_id)
    assert claim(2) == []


def test_an_id_without_a_hash_is_told_to_the_journal_and_takes_no_room():
    gone, there = pushed(2)
    client().delete(keys.job(gone))
    assert ids(claim(1)) == [there]
    (entry,) = journal.read(journal.FIRST, most=10)
    assert entry.data == {"entry": "missing", "run": gone, "queue": "default"}


def test_an_id_whose_key_is_no_hash_is_put_aside_and_takes_no_room():
    broken, there = pushed(2)
    client().delete(keys.job(broken))
    client().set(keys.job(broken), "what is this")
    assert ids(claim(1)) == [there]
    assert client().lrange(keys.QUARANTINE, 0, -1) == [broken.encode()]
    assert client().get(keys.job(broken)) == b"what is this"


def test_what_is_put_aside_does_not_fill_the_server():
    client().rpush(keys.QUARANTINE, *range(1000))
    (broken,) = pushed()
    client().delete(keys.job(broken))
    client().set(keys.job(broken), "x")
    claim()
    assert client().llen(keys.QUARANTINE) == 1000
    assert client().lindex(keys.QUARANTINE, -1) == broken.encode()


@pytest.mark.parametrize("attempts", ["many", "", "1.5", "nan"])
def test_a_damaged_count_of_attempts_does_not_stop_the_claim(attempts):
    damaged, there = pushed(2)
    client().hset(keys.job(damaged), "attempts", attempts)
    taken = claim(2)
    assert ids(taken) == [damaged, there]
    assert places(damaged) == ["started:default"]


@pytest.mark.parametrize("damaged", ["9" * 40, "9" * 50, "inf", "1e300"])
@pytest.mark.parametrize("field", ["attempts", "life", "crashes", "own_attempts"])
def test_a_number_that_is_too_large_is_the_largest_that_can_be_stored(field, damaged):
    (run_id,) = pushed()
    client().hset(keys.job(run_id), field, damaged)
    (taken,) = claim()
    assert taken.number(field) <= 2**31 - 1


@pytest.mark.parametrize("damaged", ["nan", "-1", "-inf", "many", ""])
def test_a_number_that_is_none_is_nought(damaged):
    (run_id,) = pushed()
    client().hset(keys.job(run_id), "crashes", damaged)
    assert claim()[0].number("crashes") == 0


@pytest.mark.parametrize(("durable", "is_so"), [("1", True), ("0", False), ("?", True), (None, True)])
def test_a_run_of_ours_has_a_row_unless_it_says_otherwise(durable, is_so):
    (run_id,) = pushed()
    client().hdel(keys.job(run_id), "durable")
    if durable is not None:
        client().hset(keys.job(run_id), "durable", durable)
    assert claim()[0].durable is is_so


def test_a_run_that_knows_no_lives_is_one_of_plain_rq():
    (run_id,) = pushed()
    client().hdel(keys.job(run_id), "durable", "life")
    (taken,) = claim()
    assert taken.is_foreign
    assert not taken.is_ours
    assert taken.durable


def test_a_queue_that_is_no_list_does_not_stop_the_others():
    (run_id,) = pushed(queue="low")
    client().set(keys.queue("critical"), "x")
    assert ids(claim(5, queues=["critical", "low"])) == [run_id]


def test_a_started_registry_of_another_type_stops_no_run():
    unseen, run_id = *pushed(queue="critical"), *pushed(queue="low")
    client().set("rq:wip:critical", "x")
    taken = claim(5, queues=["critical", "low"])
    assert ids(taken) == [unseen, run_id]
    assert settle(WORKER, [Settlement(one, "front") for one in taken]) == [True, True]
    assert places(unseen) == ["queued:critical"]


@pytest.mark.parametrize("key", [keys.JOURNAL, keys.QUARANTINE, keys.held(WORKER.id)])
def test_nothing_is_taken_while_it_has_nowhere_to_go(key):
    (run_id,) = pushed()
    client().set(key, "x")
    with pytest.raises(BrokerUnavailable, match=key):
        claim()
    assert places(run_id) == ["queued:default"]
    client().delete(key)
    assert ids(claim()) == [run_id]


def test_an_id_of_any_bytes_is_claimed_and_read():
    client().hset(b"rq:job:\xff\xfe", "data", b"\xff\x00")
    client().rpush(keys.queue("default"), b"\xff\xfe")
    (taken,) = claim()
    assert taken.name == ""
    with pytest.raises(ValueError, match="JSON"):
        _ = taken.payload


def test_what_a_worker_holds_can_be_read_back_after_a_lost_answer():
    wanted = pushed(3)
    taken = claim(3)
    assert sorted(ids(claims.held_by(WORKER.id))) == sorted(wanted)
    assert {one.token for one in claims.held_by(WORKER.id)} == {one.token for one in taken}
    assert claims.held_by(OTHER.id) == []


@pytest.mark.parametrize(("token", "place"), [("tok", "garbage"), ("tok", b"\xff"), (b"\xff", "default\tabc")])
def test_what_is_damaged_among_what_a_worker_holds_is_dropped_and_told(token, place, caplog):
    (run_id,) = pushed()
    claim()
    client().hset(keys.held(WORKER.id), token, place)
    assert ids(claims.held_by(WORKER.id)) == [run_id]
    assert client().hlen(keys.held(WORKER.id)) == 1
    assert "cannot be read" in caplog.text


def test_a_held_run_whose_hash_is_something_else_is_read_without_facts():
    wanted = pushed(2)
    claim(2)
    client().delete(keys.job(wanted[0]))
    client().set(keys.job(wanted[0]), "x")
    assert {one.run_id: bool(one.fields) for one in claims.held_by(WORKER.id)} == {wanted[0]: False, wanted[1]: True}


def test_a_key_of_another_type_holds_nothing_and_keeps_no_lease(caplog):
    client().set(keys.held("ghost"), "x")
    client().zadd(keys.LEASES, {"ghost": 1})
    assert claims.held_by("ghost") == []
    assert "jobs:held:ghost is in use for something else" in caplog.text
    claims.forget_worker("ghost")
    assert client().zscore(keys.LEASES, "ghost") is None


def test_a_worker_that_holds_something_is_not_forgotten():
    pushed()
    claim()
    claims.forget_worker(WORKER.id)
    assert client().zscore(keys.LEASES, WORKER.id) is not None
    client().delete(keys.held(WORKER.id))
    claims.forget_worker(WORKER.id)
    assert client().zscore(keys.LEASES, WORKER.id) is None


def test_the_wait_is_counted_from_when_the_run_was_ready():
    (run_id,) = pushed()
    client().hincrby(keys.job(run_id), "ready_ms", -5000)
    (taken,) = claim()
    assert 5000 <= taken.wait_ms < 10_000


def test_every_field_that_somebody_reads_of_a_claim_is_claimed():
    read = re.compile(r"""(?:\.fields\.get\(|\.fields\[|\.number\(|_date\(claim, )["'](\w+)""")
    # What a foreign run says is read where only those come, and of them all is claimed.
    paths = [path for path in Path(claims.__file__).parents[1].rglob("*.py") if "foreign" not in path.name]
    wanted = {field for path in paths for field in read.findall(path.read_text())}
    assert "correlation" in wanted
    assert wanted <= {*claims.FIELDS, *claims._ANSWERED, "claimed_ms"}


def test_a_foreign_run_is_claimed_with_all_that_its_hash_says():
    client().hset(keys.job("theirs"), mapping={"data": "x", "origin": "default", "timeout": 180, "retries_left": 2})
    client().rpush(keys.queue("default"), "theirs")
    (taken,) = claim()
    assert not taken.is_ours
    assert taken.fields["retries_left"] == "2"
    assert taken.attempt == 1


def test_many_runs_are_claimed_and_settled_at_once():
    wanted = [*pushed(60, queue="critical"), *pushed(60)]
    taken = claim(100)
    assert ids(taken) == wanted[:100]
    assert settle(WORKER, [Settlement(one, "end", entry={"run": one.run_id}) for one in taken]) == [True] * 100
    told = journal.read(journal.FIRST, most=2)
    assert [entry.data["run"] for entry in told] == wanted[:100]
    assert claims.held_by(WORKER.id) == []
