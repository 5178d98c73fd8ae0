"""What a child tells its supervisor without Redis: that its loop turns, what it has begun, and how it ended.

It lies in memory that both share, so neither a job that closes every file nor one that calls `os._exit` can fake it.
"""

from __future__ import annotations

import mmap
import struct
import time

_BEAT = struct.Struct("d")
_END_AT = _BEAT.size
_BEGUN = struct.Struct("Q")
_BEGUN_AT = 2 * _BEAT.size
_OVER, _RETIRED = 1, 2


class Pulse:
    """Made before the fork, for a child of so many threads. It beats and says how it ended; the supervisor reads."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._memory = mmap.mmap(-1, _BEGUN_AT + threads * _BEGUN.size)
        self.beat()

    def begin(self, thread: int, number: int) -> None:
        """Say that a thread, counted from 0, begins with the run whose claim has this number. Numbers rise."""
        at = _BEGUN_AT + thread * _BEGUN.size
        self._memory[at : at + _BEGUN.size] = _BEGUN.pack(number)

    @property
    def latest_begun(self) -> int:
        """The highest number that was begun, 0 when none was: whatever has a higher one never started."""
        # One place for each thread, for two that begin at once may write in any order.
        return int(max(struct.unpack_from(f"{self._threads}Q", self._memory, _BEGUN_AT)))

    def beat(self) -> None:
        """Say that the loop turns."""
        # Not `pack_into`, which first fills the place with zeros: who reads between sees the silence of days.
        self._memory[: _BEAT.size] = _BEAT.pack(time.monotonic())

    def say_over(self) -> None:
        """Say that the work is over: no other child need take its place."""
        self._memory[_END_AT] = _OVER

    def say_retired(self) -> None:
        """Say that the process ends because a job would not: another child must take its place."""
        self._memory[_END_AT] = _RETIRED

    @property
    def silent_seconds(self) -> float:
        """Since the last beat; the clock is the same in every process of the machine."""
        beaten_at: float = _BEAT.unpack_from(self._memory, 0)[0]
        return time.monotonic() - beaten_at

    @property
    def is_over(self) -> bool:
        return self._memory[_END_AT] == _OVER

    @property
    def ended_as_it_should(self) -> bool:
        """Whether it ended by itself, having handed back what it held."""
        return self._memory[_END_AT] in (_OVER, _RETIRED)
