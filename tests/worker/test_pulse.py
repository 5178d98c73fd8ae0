"""What a child tells its supervisor by memory that they share."""

from __future__ import annotations

import os
import signal
import time

from jobs.worker.pulse import Pulse
from jobs.worker.tokens import Tokens, number_of


def test_what_was_begun_is_known_after_the_process_died():
    pulse = Pulse(threads=3)
    pid = os.fork()
    if pid == 0:
        # Two that begin at once may write in any order.
        pulse.begin(1, 7)
        pulse.begin(0, 6)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert pulse.latest_begun == 7


def test_where_nothing_was_begun_every_claim_is_later():
    assert Pulse(threads=3).latest_begun == 0
    assert number_of(Tokens().fresh(1)[0]) == 1


def test_how_it_ended_is_not_touched_by_what_it_begins():
    pulse = Pulse(threads=500)
    for thread in range(500):
        pulse.begin(thread, 2**60 + thread)
    assert not pulse.ended_as_it_should
    assert pulse.silent_seconds < 60
    pulse.say_retired()
    assert (pulse.ended_as_it_should, pulse.is_over) == (True, False)
    assert pulse.latest_begun == 2**60 + 499


def test_a_beat_is_never_read_half_written() -> None:
    pulse = Pulse()
    writer = os.fork()
    if writer == 0:
        while True:
            pulse.beat()
    try:
        end = time.monotonic() + 0.5
        longest = 0.0
        while time.monotonic() < end:
            longest = max(longest, pulse.silent_seconds)
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    assert longest < 60
