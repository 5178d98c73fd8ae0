"""How many runs a process takes in hand beyond those that its threads run. Reads no clock and claims nothing."""

from __future__ import annotations

# What waits in hand is begun within about this time: long enough for an exchange with Redis, and short enough that no
# run waits here for long while another process stands idle, or behind one of a queue that comes first.
_AHEAD_SECONDS = 0.02
# To settle and to claim so many holds the server for about 3 ms.
_MOST = 128
# A shorter time says little.
_LEAST_SECONDS = 0.005


class Pace:
    """`ahead` is how many runs may wait in hand.

    1. It begins with none, and grows with how fast attempts end: to twice as many at each look, at the most.
    2. As soon as a claim finds less than it asked for, it is none: what comes next goes to whoever is free.
    3. The same when what is in hand is put back because no thread came to it.
    """

    def __init__(self, threads: int) -> None:
        self.ahead = 0
        self._threads = threads
        self._ended = 0
        self._since: float | None = None

    def note_ended(self, count: int, *, now: float) -> None:
        """So many attempts have ended since the last call."""
        self._ended += count
        if self._since is None:
            self._since, self._ended = now, 0
        seconds = now - self._since
        if seconds >= _LEAST_SECONDS:
            wanted = round(self._ended / seconds * _AHEAD_SECONDS)
            self.ahead = min(wanted, 2 * self.ahead + self._threads, _MOST)
            self._since, self._ended = now, 0

    def note_claimed(self, count: int, *, asked: int) -> None:
        """A claim that asked for so many got `count`."""
        if count < asked:
            self.reset()

    def reset(self) -> None:
        """Take nothing ahead until attempts end fast again."""
        self.ahead, self._since = 0, None
