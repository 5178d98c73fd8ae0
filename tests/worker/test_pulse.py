"""What a child tells its supervisor by a page of memory."""

from __future__ import annotations

import os
import signal

from jobs.worker.pulse import Pulse


def test_what_was_handed_out_and_has_not_begun_is_known_after_the_process_died():
    pulse = Pulse()
    pid = os.fork()
    if pid == 0:
        lines = {token: pulse.hand_out(token) for token in ("a" * 16, "b" * 16, "c" * 16)}
        pulse.begin(lines["b" * 16])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert pulse.not_begun == {"a" * 16, "c" * 16}


def test_what_has_no_line_counts_as_begun():
    pulse = Pulse()
    lines = [pulse.hand_out(f"{number:016x}") for number in range(1000)]
    assert lines[0] is not None
    assert lines[-1] is None
    for line in lines:
        pulse.begin(line)
    assert pulse.not_begun == frozenset()


def test_a_line_is_used_again():
    pulse = Pulse()
    for number in range(10_000):
        pulse.begin(pulse.hand_out(f"{number:016x}"))
    assert pulse.hand_out("z") is not None
    assert pulse.not_begun == {"z"}


def test_how_it_ended_is_not_touched_by_what_it_handed_out():
    pulse = Pulse()
    for number in range(1000):
        pulse.hand_out("f" * 16 if number % 2 else f"{number:016x}")
    assert not pulse.ended_as_it_should
    assert pulse.silent_seconds < 60
    pulse.say_retired()
    assert (pulse.ended_as_it_should, pulse.is_over) == (True, False)
