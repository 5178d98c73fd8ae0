"""How a forked process and its jobs hear that it is to stop or be quiet, also when that is said before it is ready."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

_said_early: set[int] = set()
_ending = False


def listen() -> None:
    """Note a SIGTERM or SIGTSTP from now on, until `on_stop` and `on_quiet` say what is to be done."""
    global _ending
    _ending = False
    _said_early.clear()
    signal.signal(signal.SIGTERM, _note)
    signal.signal(signal.SIGTSTP, _note)


def on_stop(handler: Handler) -> None:
    """Call `handler` at SIGTERM, and now if there was one since `listen`.

    Ctrl-C reaches every process of the terminal; the supervisor is the one that decides.
    """
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if signal.SIGTERM in _said_early:
        handler(signal.SIGTERM, None)


def on_quiet(handler: Handler) -> None:
    """Call `handler` at SIGTSTP, and now if there was one since `listen`."""
    signal.signal(signal.SIGTSTP, handler)
    if signal.SIGTSTP in _said_early:
        handler(signal.SIGTSTP, None)


def say_ending() -> None:
    """Let the jobs of this process know that it is about to end, whatever the reason."""
    global _ending
    _ending = True


def is_ending() -> bool:
    """Whether this process is about to end, so that its jobs should end at their next safe place."""
    return _ending


def _note(signum: int, frame: FrameType | None) -> None:
    _said_early.add(signum)
