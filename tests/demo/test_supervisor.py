"""Parts are kept running, heard, and stopped in order."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import OutputWrapper

from orders.demo.output import Output
from orders.demo.parts import Program
from orders.demo.supervisor import StopAsked, Supervisor
from tests.demo.watching import is_running, wait_until

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNHEEDING = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
SAYING_GOODBYE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("goodbye", flush=True)))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(text: io.StringIO) -> Iterator[Supervisor]:
    handlers = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    supervisor = Supervisor(Output(OutputWrapper(text), coloured=False))
    yield supervisor
    supervisor.stop()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def program(name: str, code: str, *, stop_seconds: float = 5) -> Program:
    return Program(
        name,
        [sys.executable, "-S", "-c", code],
        environment=os.environ,
        folder=Path.cwd(),
        stop_seconds=stop_seconds,
    )


def run_until_heard(supervisor: Supervisor, text: io.StringIO, wanted: str, *, times: int = 1) -> None:
    assert supervisor.run_until(lambda: text.getvalue().count(wanted) >= times, seconds=10), text.getvalue()


def test_each_line_stands_under_its_parts_name(supervisor: Supervisor, text: io.StringIO) -> None:
    supervisor.run_to_end(program("set-up", "print('one'); print('two')"))
    assert text.getvalue() == "set-up    | one\nset-up    | two\n"


def test_what_a_part_writes_to_stderr_is_heard(supervisor: Supervisor, text: io.StringIO) -> None:
    supervisor.run_to_end(program("web", "import sys; print('oh', file=sys.stderr)"))
    assert text.getvalue() == "web       | oh\n"


def test_a_part_that_ends_by_itself_gives_its_status(supervisor: Supervisor) -> None:
    assert supervisor.run_to_end(program("set-up", "raise SystemExit(3)")) == 3


def test_a_part_that_dies_is_started_again_and_said(supervisor: Supervisor, text: io.StringIO) -> None:
    supervisor.start(program("worker", "print('started'); raise SystemExit(7)"))
    run_until_heard(supervisor, text, "started", times=2)
    assert "demo      | worker ended with status 7; starting it again in 1 s.\n" in text.getvalue()


def test_a_part_that_keeps_dying_waits_longer_each_time(supervisor: Supervisor, text: io.StringIO) -> None:
    supervisor.start(program("worker", "raise SystemExit(1)"))
    run_until_heard(supervisor, text, "again in 2 s")


def test_a_killed_part_is_named_with_its_signal(supervisor: Supervisor, text: io.StringIO) -> None:
    part = program("web", SAYING_GOODBYE)
    supervisor.start(part)
    run_until_heard(supervisor, text, "ready")
    part.kill()
    run_until_heard(supervisor, text, "web was ended by SIGKILL")


def test_what_a_dead_part_had_started_ends_before_its_successor_starts(
    supervisor: Supervisor, text: io.StringIO
) -> None:
    supervisor.start(program("web", "import subprocess; print('child', subprocess.Popen(['sleep', '60']).pid)"))
    run_until_heard(supervisor, text, "child", times=2)
    first_child = int(re.findall(r"child (\d+)", text.getvalue())[0])
    wait_until(lambda: not is_running(first_child), seconds=5, what="the end of the first one's child")


def test_the_last_started_stops_first(supervisor: Supervisor, text: io.StringIO) -> None:
    for name in ("valkey", "worker", "web"):
        supervisor.start(program(name, SAYING_GOODBYE))
    run_until_heard(supervisor, text, "ready", times=3)
    supervisor.stop()
    goodbyes = [line.split()[0] for line in text.getvalue().splitlines() if "goodbye" in line]
    assert goodbyes == ["web", "worker", "valkey"]


def test_a_part_that_does_not_heed_is_killed_in_the_end(supervisor: Supervisor, text: io.StringIO) -> None:
    part = program("worker", UNHEEDING, stop_seconds=0.2)
    supervisor.start(part)
    run_until_heard(supervisor, text, "ready")
    supervisor.stop()
    assert part.ended() == -signal.SIGKILL


def test_a_stop_signal_interrupts_the_run(supervisor: Supervisor) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StopAsked):
        supervisor.run()


def test_a_second_stop_signal_kills_what_is_slow_to_stop(supervisor: Supervisor, text: io.StringIO) -> None:
    part = program("worker", UNHEEDING, stop_seconds=60)
    supervisor.start(part)
    run_until_heard(supervisor, text, "ready")
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    supervisor.stop()
    assert part.ended() == -signal.SIGKILL


class ClosedTerminal(io.StringIO):
    """What a stream becomes when its terminal window is closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_stops_nobody_from_stopping() -> None:
    Output(OutputWrapper(ClosedTerminal()), coloured=False).say("Stopping …")


def test_names_are_coloured_on_a_terminal(text: io.StringIO) -> None:
    output = Output(OutputWrapper(text), coloured=True)
    output.line("web", "one")
    output.line("worker", "two")
    assert text.getvalue() == "\x1b[36mweb       |\x1b[0m one\n\x1b[32mworker    |\x1b[0m two\n"


def test_lines_about_attempts_show_their_words_alone(text: io.StringIO) -> None:
    output = Output(OutputWrapper(text), coloured=False)
    output.line("worker", 'INFO orders.pack attempt 1 of 3 took 5 ms: done event="attempt ended" job=orders.pack of=3')
    assert text.getvalue() == "worker    | INFO orders.pack attempt 1 of 3 took 5 ms: done\n"
