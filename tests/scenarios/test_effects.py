"""Effects of workers that die: once when their result was stored, and as it was chosen when it was not."""

from __future__ import annotations

import pytest

from jobs.broker.connection import client
from jobs.models import DeadJob, Effect
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

pytestmark = pytest.mark.slow


def test_a_worker_that_dies_after_its_effect_does_not_repeat_it(workers: Workers) -> None:
    runs = sample.pay.enqueue_many([(number, "after") for number in range(1, 4)])
    workers.start("--concurrency", "1")
    wait_until(lambda: all(run.state == "succeeded" for run in runs), seconds=60, what="the payments")
    for number, run in enumerate(runs, start=1):
        assert workers.ledger().count(f"begin {number}") == 2
        assert workers.ledger().count(f"paid {number}") == 1
        assert run.row().result == number * 100


@pytest.mark.parametrize(
    ("in_doubt", "state", "paid"), [("call", "succeeded", 2), ("ask", "dead", 1), ("look up", "succeeded", 1)]
)
def test_a_worker_that_dies_in_its_effect_leaves_a_doubt(workers: Workers, in_doubt, state, paid) -> None:
    run = sample.pay.enqueue(1, "in", in_doubt)
    workers.start("--concurrency", "1")
    wait_until(lambda: run.state == state, seconds=60, what=f"the run to be {state}")
    assert workers.ledger().count("paid 1") == paid
    if state == "dead":
        assert DeadJob.objects.get().error_class.endswith("EffectInDoubt")
        assert Effect.objects.get().state == "claimed"
    else:
        assert run.row().result == 100


def test_a_run_that_is_put_back_while_its_effect_is_under_way_does_not_repeat_it(workers: Workers) -> None:
    run = sample.pay_slowly.enqueue(1, 4.0)
    workers.start("--concurrency", "2")
    wait_until(lambda: "paying 1" in workers.ledger(), seconds=30, what="the payment to begin")
    client().flushall()
    wait_until(lambda: run.state == "succeeded", seconds=60, what="the run to succeed")
    assert workers.ledger() == ["paying 1", "paid 1"]
    assert run.row().result == 100
