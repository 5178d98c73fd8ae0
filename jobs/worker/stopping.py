"""How a forked process hears that it is to stop, also when that is said before it is ready to hear."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], None]

_said_early = False


def listen() -> None:
    """Note a SIGTERM from now on, until `on_stop` says what is to be done."""
    global _said_early
    _said_early = False
    signal.signal(signal.SIGTERM, _note)


def on_stop(handler: Handler) -> None:
    """Call `handler` at SIGTERM, and now if there was one since `listen`.

    Ctrl-C reaches every process of the terminal; the supervisor is the one that decides.
    """
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _said_early:
        handler(signal.SIGTERM, None)


def _note(signum: int, frame: FrameType | None) -> None:
    global _said_early
    _said_early = True
