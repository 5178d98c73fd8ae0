"""Threads let go of every run and go on, whatever fails."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest

from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.worker import lifecycle
from jobs.worker.pulse import Pulse
from jobs.worker.threads import Threads
from tests.scenarios.workers import wait_until


@pytest.fixture
def threads() -> Iterator[Threads]:
    woken: queue.SimpleQueue[None] = queue.SimpleQueue()
    threads = Threads(1, worker="tester", pulse=Pulse(), ended=lambda: woken.put(None))
    yield threads
    threads.stop()


def ended(threads: Threads, claim: Claim) -> Settlement:
    threads.hand_out(claim)
    found: list[Settlement] = []
    wait_until(lambda: found.extend(threads.collect()) or found, what="the attempt to end")
    return found[0]


def a_claim(token: str) -> Claim:
    return Claim("r1", "default", token, {"data": '["tests.nobody", null, [], {}]', "life": "0", "attempts": "1"})


def fail(*args: object, **kwargs: object) -> None:
    raise SystemError("not the job's fault")


def test_a_failure_of_the_lifecycle_itself_is_judged_like_one_of_the_job(threads, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "attempt", fail)
        settlement = ended(threads, a_claim("t1"))
    assert (settlement.claim.token, settlement.entry["outcome"]) == ("t1", "raised")
    assert "SystemError" in caplog.text
    assert ended(threads, a_claim("t2")).entry["outcome"] == "unknown job", "the thread goes on"


def test_a_run_that_cannot_even_be_judged_runs_again_later(threads, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "attempt", fail)
        patched.setattr(lifecycle, "conclude", fail)
        settlement = ended(threads, a_claim("t1"))
    assert (settlement.where, settlement.wait_seconds, settlement.entry) == ("later", 30.0, None)
    assert ended(threads, a_claim("t2")).entry["outcome"] == "unknown job", "the thread goes on"
