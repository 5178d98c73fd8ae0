"""Keeps parts running, prints what they write, and stops them in order. Knows none of them by name."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from .guard import unblock_stop_signals
from .output import Output
from .parts import Part

_TICK_SECONDS = 0.05
_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 30.0
# A part that ran this long was well: its next restart is quick again.
_WELL_AFTER_SECONDS = 60.0


class StopAsked(Exception):
    """Somebody asked the launcher to stop, by Ctrl-C or a signal."""


@dataclass
class _Running:
    """A part, when it was last started, and when it is to be started again if it has ended."""

    part: Part
    started_at: float
    wait_seconds: float = _FIRST_WAIT_SECONDS
    restart_at: float | None = None


class Supervisor:
    """Runs parts in one thread.

    1. `start` starts a part and keeps it: one that ends is started again after 1, 2, 4 … 30 seconds.
    2. `run_until` prints what the parts write until a condition holds.
    3. The first stop signal raises `StopAsked` out of it; the next makes `stop` kill instead of ask.
    4. `stop` stops the parts in the reverse of the order in which they were started.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._running: list[_Running] = []
        self._stops_asked = 0
        self._is_stopping = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note_stop)
        unblock_stop_signals()

    def start(self, part: Part) -> None:
        part.start()
        self._running.append(_Running(part, started_at=time.monotonic()))

    def run_to_end(self, part: Part) -> int:
        """Run a part that ends by itself, and return its exit status."""
        part.start()
        once = _Running(part, started_at=time.monotonic(), restart_at=float("inf"))
        self._running.append(once)
        self.run_until(lambda: part.ended() is not None)
        self._running.remove(once)
        return self._take_leave(part)

    def run_until(self, holds: Callable[[], bool], *, seconds: float | None = None) -> bool:
        """Keep the parts running until `holds`, and say whether it did before `seconds` had passed."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not holds():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._tick()
        return True

    def run(self) -> None:
        """Keep the parts running until somebody asks to stop."""
        self.run_until(lambda: False)

    def stop(self) -> None:
        """Stop every part, the last started first. Returns when all have ended."""
        self._is_stopping = True
        while self._running:
            self._stop_part(self._running[-1].part)
            self._running.pop()

    def _note_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops_asked += 1

    def _tick(self) -> None:
        if self._stops_asked and not self._is_stopping:
            raise StopAsked
        for running in self._running:
            self._print(running.part)
            if not self._is_stopping:
                self._keep_running(running)
        time.sleep(_TICK_SECONDS)

    def _print(self, part: Part) -> None:
        for line in part.lines():
            self._output.line(part.name, line)

    def _keep_running(self, running: _Running) -> None:
        status = running.part.ended()
        if status is None:
            return
        if running.restart_at is None:
            self._plan_restart(running, status)
        if running.restart_at is not None and time.monotonic() >= running.restart_at:
            self._restart(running)

    def _plan_restart(self, running: _Running, status: int) -> None:
        now = time.monotonic()
        if now - running.started_at >= _WELL_AFTER_SECONDS:
            running.wait_seconds = _FIRST_WAIT_SECONDS
        running.restart_at = now + running.wait_seconds
        ending = _ending(status)
        self._output.say(f"{running.part.name} {ending}; starting it again in {running.wait_seconds:.0f} s.")
        running.wait_seconds = min(running.wait_seconds * 2, _LONGEST_WAIT_SECONDS)

    def _restart(self, running: _Running) -> None:
        running.part.end_leftovers()
        running.restart_at = None
        running.started_at = time.monotonic()
        running.part.start()

    def _stop_part(self, part: Part) -> None:
        part.ask_to_stop()
        deadline = time.monotonic() + part.stop_seconds
        while part.ended() is None:
            if time.monotonic() >= deadline or self._stops_asked > 1:
                part.kill()
            self._tick()
        self._take_leave(part)

    def _take_leave(self, part: Part) -> int:
        status = part.ended()
        assert status is not None, "only of a part that has ended"
        self._print(part)
        part.close()
        return status


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
