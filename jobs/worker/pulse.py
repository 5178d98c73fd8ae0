"""What a child tells its supervisor without Redis: that its loop turns, what has not begun, and how it ended.

It lies in memory that both share, so neither a job that closes every file nor one that calls `os._exit` can fake it.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections import deque

_BEAT = struct.Struct("d")
_END_AT = _BEAT.size
_OVER, _RETIRED = 1, 2
# What follows is a table of tokens, one in a line; a token is 16 letters.
_TABLE_AT, _LINE = 16, 16
_LINES = (mmap.PAGESIZE - _TABLE_AT) // _LINE
_EMPTY = bytes(_LINE)


class Pulse:
    """Made before the fork. The child beats and says how it ended; the supervisor reads."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._free = deque(range(_LINES))
        self.beat()

    def beat(self) -> None:
        """Say that the loop turns."""
        _BEAT.pack_into(self._memory, 0, time.monotonic())

    def hand_out(self, token: str) -> int | None:
        """Say that this claim waits for a thread. Returns its line, for `begin`; None when there is none left."""
        letters = token.encode()
        if not self._free or len(letters) > _LINE:
            return None
        line = self._free.popleft()
        self._write(line, letters.ljust(_LINE, b"\0"))
        return line

    def begin(self, line: int | None) -> None:
        """Say that the claim of this line begins. May be called from any thread."""
        if line is not None:
            self._write(line, _EMPTY)
            self._free.append(line)

    def say_over(self) -> None:
        """Say that the work is over: no other child need take its place."""
        self._memory[_END_AT] = _OVER

    def say_retired(self) -> None:
        """Say that the process ends because a job would not: another child must take its place."""
        self._memory[_END_AT] = _RETIRED

    @property
    def not_begun(self) -> frozenset[str]:
        """The tokens that were handed out and have not begun. What is missing here may have."""
        table = self._memory[_TABLE_AT : _TABLE_AT + _LINES * _LINE]
        lines = (table[at : at + _LINE].rstrip(b"\0") for at in range(0, len(table), _LINE))
        return frozenset(line.decode() for line in lines if line)

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

    def _write(self, line: int, letters: bytes) -> None:
        at = _TABLE_AT + line * _LINE
        self._memory[at : at + _LINE] = letters
