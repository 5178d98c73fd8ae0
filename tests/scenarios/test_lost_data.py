"""Redis loses data under real workers, and no acknowledged run is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, states, wait_until


@pytest.fixture
def server(tmp_path: Path, settings) -> Iterator[EmbeddedServer]:
    """A server of this test's own, which keeps an append-only file."""
    server = EmbeddedServer(tmp_path / "data")
    server.start()
    settings.REDIS_URL = server.url
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    yield server
    server.stop()


def test_a_wiped_server_under_load_loses_nothing(workers: Workers) -> None:
    workers.start("--concurrency", "4")
    sample.nap.enqueue_many([(0.05, n) for n in range(120)])
    wait_until(lambda: len(workers.ledger()) > 40, what="some of the work")
    client().flushall()
    wait_until(lambda: states() == {"succeeded": 120}, seconds=40, what="all runs to succeed")
    assert {line for line in workers.ledger() if line.startswith("end")} == {f"end {n}" for n in range(120)}
    assert "is not as it was" in workers.log()


def test_a_restart_with_its_data_repeats_nothing(workers: Workers, server: EmbeddedServer) -> None:
    worker = workers.start("--concurrency", "4")
    sample.nap.enqueue_many([(0.1, n) for n in range(60)])
    wait_until(lambda: len(workers.ledger()) > 20, what="some of the work")
    server.kill()
    server.start()
    wait_until(lambda: states() == {"succeeded": 60}, seconds=40, what="all runs to succeed")
    ends = [line for line in workers.ledger() if line.startswith("end")]
    assert sorted(ends) == sorted(f"end {n}" for n in range(60))
    assert worker.poll() is None


def test_an_older_state_of_the_server_runs_nothing_again(workers: Workers) -> None:
    sample.add.enqueue_many([(n, n) for n in range(20)])
    kept = {key: client().dump(key) for key in client().keys("*")}
    workers.burst()
    assert states() == {"succeeded": 20}
    client().flushall()
    for key, value in kept.items():
        client().restore(key, 0, value)
    client().set(keys.EPOCH, "the server before")
    late = sample.add.enqueue(7, 7)
    workers.burst()
    assert late.state == "succeeded"
    assert sorted(workers.ledger()) == sorted(f"add {n} {n}" for n in [*range(20), 7])
