"""A server that lost something, or went back in time, is compared with the rows before anything is claimed."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import conf, lost, reconciling, recorder
from jobs.broker import epoch, journal, keys
from jobs.broker.claim import ClaimsPaused
from jobs.broker.connection import client
from jobs.broker.inspect import journal_now
from jobs.broker.settle import settle, settle_and_claim
from jobs.models import JobRun, JournalCursor, RunState
from jobs.reconciling import is_needed, reconcile
from jobs.worker import lifecycle
from jobs.worker.recording import Recording
from tests.engine import OTHER, WORKER, a_run, attempt_next, claim, hash_of, places, work_off
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


def wipe() -> None:
    client().flushall()


def restart_as(server: str) -> None:
    """What Redis holds is that of another process of the server."""
    client().set(keys.EPOCH, server)


def snapshot() -> dict[bytes, bytes]:
    return {key: client().dump(key) for key in client().keys("*")}


def go_back_to(kept: dict[bytes, bytes]) -> None:
    client().flushall()
    for key, value in kept.items():
        client().restore(key, 0, value)
    restart_as("the server before")


def refused() -> str:
    with pytest.raises(ClaimsPaused) as caught:
        claim()
    return caught.value.why


def test_long_work_says_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr(reconciling, "_TELL_SECONDS", 0.0)
    sample.add.enqueue_many([(n, n) for n in range(3)])
    wipe()
    with caplog.at_level("INFO", logger="jobs.reconciling"):
        reconcile("me")
    assert "Redis is being compared with the rows: 0 runs removed, 0 put back so far" in caplog.messages


def test_a_wiped_server_gives_nothing_until_it_is_compared_and_then_all_that_is_pending():
    runs = sample.add.enqueue_many([(n, n) for n in range(3)])
    wipe()
    assert refused() == "epoch"
    assert is_needed()
    done = reconcile("me")
    assert (done.restored, done.removed, done.complete) == (3, 0, True)
    assert not is_needed()
    work_off()
    assert [run.state for run in runs] == ["succeeded"] * 3


def test_a_restarted_server_gives_nothing_until_it_is_compared():
    run = sample.add.enqueue(1, 2)
    restart_as("another")
    assert refused() == "epoch"
    done = reconcile("me")
    assert (done.restored, done.removed) == (0, 0)
    assert places(run.id) == ["queued:default"]
    assert len(claim()) == 1


def test_an_epoch_that_is_in_use_for_something_else_is_compared_and_written_over():
    sample.add.enqueue(1, 2)
    client().delete(keys.EPOCH)
    client().rpush(keys.EPOCH, "x")
    assert refused() == "epoch"
    assert reconcile("me").complete
    assert len(claim()) == 1


def test_a_settle_goes_through_while_claims_are_refused():
    run, other = sample.add.enqueue_many([(1, 2), (3, 4)])
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    restart_as("another")
    with pytest.raises(ClaimsPaused) as caught:
        settle_and_claim(WORKER, [settlement], [secrets.token_hex(8)], ["default"])
    assert caught.value.accepted == [True]
    reconcile("me")
    assert (run.state, other.state) == ("succeeded", "queued")


@pytest.mark.parametrize(
    ("state", "facts", "place"),
    [
        (RunState.QUEUED, {}, "queued:default"),
        (RunState.SCHEDULED, {"due_at": timedelta(minutes=5)}, "scheduled:default"),
        (RunState.RETRYING, {"due_at": timedelta(minutes=5), "attempts": 2}, "scheduled:default"),
        (RunState.RETRYING, {"due_at": timedelta(minutes=-5), "attempts": 2}, "queued:default"),
        (RunState.RUNNING, {"attempts": 2}, "queued:default"),
    ],
)
def test_a_pending_row_that_is_in_no_place_comes_back_with_its_attempts(state, facts, place):
    if "due_at" in facts:
        facts["due_at"] += timezone.now()
    row = a_run(state, pushed_at=timezone.now(), **facts)
    wipe()
    assert reconcile("me").restored == 1
    assert places(row.pk) == [place]
    # The attempt that was under way is interrupted, and does not count.
    begun = facts.get("attempts", 0) - (state == RunState.RUNNING)
    assert hash_of(row.pk)["attempts"] == str(begun)
    row.refresh_from_db()
    assert row.attempts == begun
    assert row.state == (state if place.startswith("scheduled") else "queued")


@pytest.mark.parametrize("state", ["succeeded", "dead", "discarded", "cancelled"])
def test_a_run_that_has_ended_since_the_snapshot_does_not_run_again(state):
    run = sample.add.enqueue(1, 2)
    kept = snapshot()
    JobRun.objects.filter(pk=run.id).update(state=state, ended_at=timezone.now())
    go_back_to(kept)
    done = reconcile("me")
    assert (done.removed, done.restored) == (1, 0)
    assert places(run.id) == []
    assert claim() == []
    assert run.state == state


def test_a_run_in_a_long_queue_that_has_ended_is_dropped_when_it_is_claimed():
    runs = sample.add.enqueue_many([(n, n) for n in range(1005)])
    kept = snapshot()
    JobRun.objects.update(state="succeeded", ended_at=timezone.now())
    JobRun.objects.filter(pk=runs[1003].id).update(state="queued", ended_at=None)
    go_back_to(kept)
    assert reconcile("me").removed == 1004
    assert [one.run_id for one in claim(10)] == [str(runs[1003].id)]


def test_what_a_worker_held_in_the_snapshot_and_has_ended_since_is_taken_from_it():
    run = sample.add.enqueue(1, 2)
    (held,) = claim()
    kept = snapshot()
    settlement = lifecycle.attempt(held, worker=WORKER.name)
    settle(WORKER, [settlement])
    recorder.record_all()
    go_back_to(kept)
    assert reconcile("me").removed == 1
    assert places(run.id) == []
    assert settle(WORKER, [settlement]) == [False]
    assert run.state == "succeeded"


def test_what_a_worker_holds_and_still_runs_stays_with_it():
    run = sample.add.enqueue(1, 2)
    (held,) = claim()
    restart_as("another")
    reconcile("me")
    assert places(run.id) == ["started:default"]
    assert settle(WORKER, [lifecycle.attempt(held, worker=WORKER.name)]) == [True]


def test_what_a_worker_held_when_everything_was_wiped_is_refused_and_runs_again():
    run = sample.add.enqueue(1, 2)
    (held,) = claim()
    wipe()
    reconcile("me")
    assert settle(WORKER, [lifecycle.attempt(held, worker=WORKER.name)]) == [False]
    assert client().hget(keys.COUNTERS, "stale_settles") == b"1"
    work_off()
    assert (run.state, run.row().attempts) == ("succeeded", 1)


def test_a_later_life_wins_over_the_one_in_the_snapshot():
    run = sample.add.enqueue(1, 2)
    kept = snapshot()
    JobRun.objects.filter(pk=run.id).update(life=1, attempts=0)
    go_back_to(kept)
    assert reconcile("me").restored == 1
    assert hash_of(run.id)["life"] == "1"
    assert len(claim(5)) == 1
    assert claim(5, worker=OTHER) == []


def test_attempts_that_were_made_since_the_snapshot_count():
    run = sample.add.enqueue(1, 2)
    kept = snapshot()
    JobRun.objects.filter(pk=run.id).update(attempts=3)
    go_back_to(kept)
    reconcile("me")
    assert claim()[0].attempt == 4


def test_an_id_whose_queue_was_deleted_is_put_back():
    run = sample.add.enqueue(1, 2)
    client().delete(keys.queue("default"))
    restart_as("another")
    assert reconcile("me").restored == 1
    assert places(run.id) == ["queued:default"]


def test_a_second_copy_of_an_id_is_never_claimed():
    run = sample.add.enqueue(1, 2)
    client().rpush(keys.queue("default"), str(run.id))
    assert len(claim(5)) == 1
    assert claim(5, worker=OTHER) == []
    assert places(run.id) == ["started:default"]


def test_a_run_without_a_row_is_left_alone():
    sample.flood.enqueue(1)
    restart_as("another")
    done = reconcile("me")
    assert (done.removed, done.restored) == (0, 0)
    assert len(claim()) == 1


def test_what_is_in_the_journal_is_stored_before_anything_is_pushed_again():
    run = sample.add.enqueue(1, 2)
    attempt_next()
    restart_as("another")
    assert reconcile("me").restored == 0
    assert run.state == "succeeded"


def test_entries_that_lie_behind_the_cursor_are_stored_all_the_same():
    """A server that was promoted may have a clock that is behind, and gives ids that are lower than stored ones."""
    run = sample.add.enqueue(1, 2)
    attempt_next()
    JournalCursor.objects.update_or_create(shard=0, defaults={"position": "9999999999999-0", "epoch": "before"})
    restart_as("another")
    Recording().turn()
    assert run.state == "succeeded"
    later = sample.add.enqueue(3, 4)
    work_off()
    assert later.state == "succeeded"


def test_a_server_that_is_wiped_in_the_middle_is_not_opened(monkeypatch):
    sample.add.enqueue(1, 2)
    restart_as("another")
    find = lost.find

    def wiped_meanwhile(*args, **options):
        wipe()
        return find(*args, **options)

    monkeypatch.setattr(lost, "find", wiped_meanwhile)
    assert not reconcile("me").complete
    assert refused() == "epoch"
    monkeypatch.setattr(lost, "find", find)
    assert reconcile("me").complete
    assert len(claim()) == 1


def test_two_that_compare_at_once_do_no_harm(monkeypatch):
    run = sample.add.enqueue(1, 2)
    wipe()
    find = lost.find

    def another_one_meanwhile(*args, **options):
        monkeypatch.setattr(lost, "find", find)
        assert reconcile("other").complete
        return find(*args, **options)

    monkeypatch.setattr(lost, "find", another_one_meanwhile)
    assert reconcile("me").complete
    assert places(run.id) == ["queued:default"]


def test_a_stop_in_the_middle_leaves_the_claims_closed():
    sample.add.enqueue(1, 2)
    wipe()
    assert not reconcile("me", proceed=lambda: False).complete
    assert refused() == "epoch"


def test_a_server_that_was_left_for_another_and_is_taken_up_again_is_compared():
    run = sample.add.enqueue(1, 2)
    assert not is_needed(thoroughly=True)
    recorder.record_epoch("the other server")
    assert not is_needed()
    assert is_needed(thoroughly=True)
    assert refused() == "epoch"
    reconcile("me")
    assert recorder.epoch() == epoch.look().server
    assert places(run.id) == ["queued:default"]


def test_a_user_who_may_not_ask_for_the_servers_id_works_and_hears_of_a_wipe(settings):
    client().execute_command("ACL", "SETUSER", "shy", "on", ">word", "~*", "&*", "+@all", "-info")
    url = conf.redis_url()
    settings.RQ_QUEUES = {
        name: {**options, "URL": url.replace("unix://", "unix://shy:word@")}
        for name, options in settings.RQ_QUEUES.items()
    }
    sample.add.enqueue(1, 2)
    assert epoch.look().server == ""
    assert len(claim()) == 1
    client().delete(keys.EPOCH)
    assert refused() == "epoch"
    assert reconcile("me").complete
    assert not is_needed()


def test_the_recording_process_compares_and_goes_on():
    run = sample.add.enqueue(1, 2)
    process = Recording()
    process.turn()
    wipe()
    turns = 0
    while is_needed():
        process.turn()
        turns += 1
        assert turns < 5
    assert places(run.id) == ["queued:default"]
    attempt_next()
    process.turn()
    assert run.state == "succeeded"
    assert journal_now().length == 0


def test_more_rows_than_one_batch_are_put_back_in_their_order():
    runs = sample.add.enqueue_many([(n, n) for n in range(1200)])
    wipe()
    assert reconcile("me").restored == 1200
    assert client().lrange(keys.queue("default"), 0, -1) == [str(run.id).encode() for run in runs]


def test_claims_pause_at_the_journals_limit_and_settles_go_on(jobs_settings):
    first, second = sample.add.enqueue_many([(1, 2), (3, 4)])
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    jobs_settings(JOURNAL_LIMIT=1)
    journal.wake()
    with pytest.raises(ClaimsPaused) as caught:
        settle_and_claim(WORKER, [settlement], [secrets.token_hex(8)], ["default"])
    assert (caught.value.why, caught.value.accepted) == ("journal", [True])
    recorder.record_all()
    assert (first.state, second.state) == ("succeeded", "queued")
    assert len(claim()) == 1
