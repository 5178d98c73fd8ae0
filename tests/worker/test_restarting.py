"""How long a supervisor waits before it replaces a child that has died."""

from __future__ import annotations

import time

from jobs.worker.processes import Process
from jobs.worker.pulse import Pulse


def waits(deaths: int, *, had_begun: bool) -> list[float]:
    """Seconds to the next start after each of so many deaths of young children."""
    process = Process()
    found = []
    for _ in range(deaths):
        process.pulse = Pulse()
        if had_begun:
            process.pulse.begin(0, 1)
        process._started_at = time.monotonic()
        assert not process.note_end(-9)
        found.append(round(process.start_at - time.monotonic(), 1))
    return found


def test_a_child_that_cannot_start_is_tried_ever_more_slowly() -> None:
    assert waits(8, had_begun=False) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_child_that_its_jobs_kill_is_replaced_within_a_second_each_time() -> None:
    assert waits(8, had_begun=True) == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
