"""Sends in threads of their own, so that what is slow holds up nobody. One thing at a time for each channel.

What does not come back is left to itself, and the channel is used again: else one silent server would end a channel
for as long as the process lives. Only so many are left behind; then it waits for one of them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.alerts import channels

# By then a channel is said not to have taken what it was given; its thread goes on, and nobody waits for it.
HANGS_AFTER_SECONDS = 60.0
LEFT_BEHIND_MOST = 10


@dataclass(frozen=True)
class Ended:
    """Something that was handed over, and why it could not be sent; empty where it was."""

    channel: str
    what: Any
    why: str


@dataclass(eq=False)
class _UnderWay:
    channel: str
    what: Any
    since: float


class Outbound:
    """What is under way by channel. All but `_send` happens in the thread that owns it."""

    def __init__(self) -> None:
        self._under_way: dict[str, _UnderWay] = {}
        self._left_behind: list[_UnderWay] = []
        self._ended: queue.SimpleQueue[tuple[_UnderWay, str] | None] = queue.SimpleQueue()

    def is_free(self, channel: str) -> bool:
        """Whether the channel has nothing under way, and has not left too much behind."""
        left = sum(one.channel == channel for one in self._left_behind)
        return channel not in self._under_way and left < LEFT_BEHIND_MOST

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way that anybody waits for."""
        return not self._under_way

    def hand_over(self, channel: str, what: Any, call: Callable[[], None]) -> None:
        """Call it in a thread of its own; `what` comes back with its end."""
        one = _UnderWay(channel, what, time.monotonic())
        # One that hangs must not keep the process from ending.
        threading.Thread(target=self._send, args=(one, call), name=f"alerts {channel}", daemon=True).start()
        self._under_way[channel] = one

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
                found += self._over(*ended)
        return found + self._hanging()

    def _over(self, one: _UnderWay, why: str) -> list[Ended]:
        if one in self._left_behind:
            # What became of it was said when it was left.
            self._left_behind.remove(one)
            return []
        del self._under_way[one.channel]
        return [Ended(one.channel, one.what, why)]

    def _hanging(self) -> list[Ended]:
        now = time.monotonic()
        hanging = [one for one in self._under_way.values() if now - one.since > HANGS_AFTER_SECONDS]
        for one in hanging:
            self._left_behind.append(self._under_way.pop(one.channel))
        why = f"it did not come back within {HANGS_AFTER_SECONDS:.0f} s"
        return [Ended(one.channel, one.what, why) for one in hanging]

    def _send(self, one: _UnderWay, call: Callable[[], None]) -> None:
        why = ""
        try:
            call()
        # Whatever a channel raises is its own.
        except BaseException as error:
            why = channels.why(error) or type(error).__name__
        self._ended.put((one, why))
