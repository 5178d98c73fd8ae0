"""Sends in threads of their own, so that what is slow holds up nobody. One thing at a time for each channel."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.alerts import channels

# By then a channel is said not to have taken what it was given; its thread goes on, and is not used meanwhile.
HANGS_AFTER_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """Something that was handed over, and why it could not be sent; empty where it was."""

    channel: str
    what: Any
    why: str


@dataclass
class _UnderWay:
    what: Any
    since: float
    thread: threading.Thread
    is_told: bool = False


class Outbound:
    """What is under way by channel. All but `send` happens in the thread that owns it."""

    def __init__(self) -> None:
        self._under_way: dict[str, _UnderWay] = {}
        self._ended: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()

    def is_free(self, channel: str) -> bool:
        """Whether the channel has nothing under way."""
        return channel not in self._under_way

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def hand_over(self, channel: str, what: Any, call: Callable[[], None]) -> None:
        """Call it in a thread of its own; `what` comes back with its end."""
        # One that hangs must not keep the process from ending.
        thread = threading.Thread(target=self._send, args=(channel, what, call), name=f"alerts {channel}", daemon=True)
        self._under_way[channel] = _UnderWay(what, time.monotonic(), thread)
        thread.start()

    def wake(self) -> None:
        """Let `wait` return."""
        self._ended.put(None)

    def wait(self, seconds: float) -> list[Ended]:
        """What has ended, after so many seconds at the most; at once where something has, or on `wake`."""
        found: list[Ended] = []
        timeout = seconds
        while True:
            try:
                ended = self._ended.get(timeout=timeout) if timeout > 0 else self._ended.get_nowait()
            except queue.Empty:
                break
            timeout = 0.0
            if ended is not None:
                under_way = self._under_way.pop(ended.channel)
                if not under_way.is_told:
                    found.append(ended)
        return found + self._hanging()

    def _hanging(self) -> list[Ended]:
        now = time.monotonic()
        hanging = [
            (channel, one)
            for channel, one in self._under_way.items()
            if not one.is_told and now - one.since > HANGS_AFTER_SECONDS
        ]
        for _, one in hanging:
            one.is_told = True
        return [
            Ended(channel, one.what, f"it did not come back within {HANGS_AFTER_SECONDS:.0f} s")
            for channel, one in hanging
        ]

    def _send(self, channel: str, what: Any, call: Callable[[], None]) -> None:
        why = ""
        try:
            call()
        # Whatever a channel raises is its own.
        except BaseException as error:
            why = channels.why(error) or type(error).__name__
        self._ended.put(Ended(channel, what, why))
