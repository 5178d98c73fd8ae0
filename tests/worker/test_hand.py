"""What is claimed ahead of the threads is begun in order, or goes back as if it had not been claimed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.broker.claim import Claim
from jobs.broker.settle import settle, settle_and_claim
from jobs.worker.hand import Hand
from jobs.worker.pulse import Pulse
from tests.broker.messages import pushed
from tests.engine import WORKER, hash_of, places
from tests.scenarios.workers import wait_until

THREADS = 2


@pytest.fixture
def gate(make_job: Callable[..., object]) -> Iterator[threading.Event]:
    """Ends the runs of `gated`."""
    opened = threading.Event()
    make_job(lambda: opened.wait(30), "tests.gated", retry=1)
    yield opened
    opened.set()


@pytest.fixture
def make_hand(transactional_db: None) -> Iterator[Callable[..., Hand]]:
    made: list[Hand] = []

    def make(*, is_alone: bool = False) -> Hand:
        made.append(Hand(THREADS, worker=WORKER.name, pulse=Pulse(THREADS), is_alone=is_alone, ended=lambda: None))
        return made[-1]

    yield make
    for hand in made:
        hand.put_back()
        hand.drop()


def gated(count: int) -> list[str]:
    """The ids of so many runs that go on until the gate opens."""
    return pushed(count, name="tests.gated", payload=[[], {}])


def claimed(hand: Hand, count: int) -> list[Claim]:
    """Claim so many runs under the hand's tokens and put them into it."""
    taken = settle_and_claim(WORKER, [], hand.fresh_tokens(count), ["default"])[1]
    hand.take(taken, asked=count)
    return taken


def test_before_it_knows_how_long_runs_take_it_has_room_for_its_threads(make_hand):
    assert make_hand().room() == THREADS


def test_what_no_thread_has_begun_goes_back_in_order_and_uncounted(make_hand, gate):
    wanted = gated(5)
    hand = make_hand()
    claimed(hand, 5)
    wait_until(lambda: len(hand.at_work()) == THREADS, what="both threads to begin")
    assert hand.put_back() == 3
    assert settle(WORKER, list(hand.unsettled)) == [True] * 3
    assert [one.run_id for one in settle_and_claim(WORKER, [], hand.fresh_tokens(3), ["default"])[1]] == wanted[2:]
    assert {hash_of(run_id)["attempts"] for run_id in wanted} == {"1"}


def test_what_goes_back_is_queued_and_leaves_no_entry(make_hand, gate):
    run_ids = gated(3)
    hand = make_hand()
    claimed(hand, 3)
    wait_until(lambda: len(hand.at_work()) == THREADS, what="both threads to begin")
    hand.put_back()
    (last,) = hand.unsettled
    settle(WORKER, [last])
    assert last.entry is None
    assert places(run_ids[2]) == ["queued:default"]
    assert hash_of(run_ids[2])["attempts"] == "0"


def test_what_waits_behind_long_runs_is_overdue_and_what_waits_for_nobody_is_not(make_hand, gate):
    gated(3)
    hand = make_hand()
    claimed(hand, 2)
    wait_until(lambda: len(hand.at_work()) == THREADS, what="both threads to begin")
    assert not hand.is_overdue()
    claimed(hand, 1)
    wait_until(hand.is_overdue, what="the third to have waited for long")
    hand.put_back()
    assert not hand.is_overdue()


def test_what_threads_come_to_ever_more_slowly_is_overdue_too(make_hand, make_job):
    make_job(lambda: time.sleep(0.05), "tests.slow")
    pushed(60, name="tests.slow", payload=[[], {}])
    hand = make_hand()
    claimed(hand, 60)
    wait_until(lambda: not hand.waiting or hand.is_overdue(), what="the last to have waited for long")
    assert hand.waiting
    assert hand.put_back() > 0
    assert not hand.is_overdue()


def test_what_is_at_work_is_no_more_begun_by_others_when_it_is_given_up(make_hand, gate):
    gated(3)
    hand = make_hand()
    taken = claimed(hand, 3)
    wait_until(lambda: len(hand.at_work()) == THREADS, what="both threads to begin")
    hand.put_back()
    assert [running.claim.token for running in hand.drop()] == [one.token for one in taken[:2]]


def test_a_hand_for_suspects_takes_none_beside_the_one_it_runs(make_hand, gate):
    gate.set()
    hand = make_hand(is_alone=True)
    for _ in range(30):
        gated(20)
        claimed(hand, 20)
        wait_until(lambda: not hand.waiting and not hand.at_work(), what="all to end")
        hand.collect()
    settle(WORKER, list(hand.unsettled))
    assert hand.room() == THREADS
