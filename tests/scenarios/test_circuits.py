"""A partner that is down, with real workers: its jobs wait, one probe finds out, and all succeed once it is well."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from jobs import circuits
from tests.engine import hash_of
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

pytestmark = pytest.mark.slow

WORKERS = 8
WAITING = 60


def opened_for() -> float:
    """Seconds since the circuit changed, 0 when it did not."""
    since = circuits.status("bell").since
    return (timezone.now() - since).total_seconds() if since else 0.0


def test_of_eight_workers_at_a_half_open_circuit_exactly_one_is_the_probe(workers: Workers, tmp_path: Path) -> None:
    broken, busy = tmp_path / "broken", tmp_path / "busy"
    broken.touch()
    busy.touch()
    first = sample.ring.enqueue_many([(number,) for number in range(3)])
    workers.start("--processes", str(WORKERS), "--concurrency", "1")
    wait_until(lambda: circuits.status("bell").phase == "open", seconds=60, what="the circuit to open")
    # What a process believes of a closed circuit holds for a second.
    wait_until(lambda: opened_for() > 1.5, what="every process to know")
    broken.unlink()
    waiting = sample.ring.enqueue_many([(number,) for number in range(100, 100 + WAITING)])

    wait_until(lambda: circuits.status("bell").has_probe, seconds=60, what="a probe")
    rung = len(workers.ledger())
    since = circuits.status("bell").since
    assert since is not None
    askers: set[str] = set()

    def all_have_asked() -> bool:
        """Whether each worker but the probe's has, and each run but the probe, while that is under way."""
        hashes = [hash_of(run.id) for run in [*first, *waiting]]
        since_then = [one for one in hashes if int(one.get("claimed_ms") or 0) > since.timestamp() * 1000]
        askers.update(one.get("worker_name", "") for one in since_then)
        return len(since_then) >= len(hashes) - 1 and len(askers) >= WORKERS - 1

    wait_until(all_have_asked, seconds=60, what="every worker and every run to ask")
    assert circuits.status("bell").has_probe
    assert len(workers.ledger()) == rung, "only the probe rings"

    busy.unlink()
    wait_until(lambda: {run.state for run in waiting} == {"succeeded"}, seconds=60, what="the runs that waited")
    wait_until(lambda: {run.state for run in first} == {"succeeded"}, seconds=60, what="the runs that failed")
    assert {run.row().attempts for run in waiting} == {1}
    assert circuits.status("bell").phase == "closed"
