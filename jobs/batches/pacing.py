"""How members are cut into slices, and when each slice is due. Reads no clock, and stores nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.errors import BadBatch

_MOST = 1000


class Pace:
    """How members are cut into slices, and when each is due."""

    def __init__(self, slice: int | None = None, every: timedelta | None = None) -> None:
        self.slice = _slice(slice)
        self.every = _every(every)
        # How many more there may be in the slice that has begun, and when it is due: None is now.
        self.room = 0
        self.due: datetime | None = None

    def but(self, *, slice: int | None, every: timedelta | None) -> Pace:
        """This one, or one of its own where that is said."""
        if slice is None and every is None:
            return self
        return Pace(self.slice if slice is None else slice, self.every if every is None else every)

    def begin(self, latest: datetime | None, now: datetime) -> None:
        """Begin a slice, after the latest that was added by anybody."""
        assert self.every is not None
        following = None if latest is None else latest + self.every
        self.due = following if following is not None and following > now else None
        self.room = self.slice


def _slice(size: int | None) -> int:
    if size is None:
        return _MOST
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _MOST:
        raise BadBatch(f"slice={size!r}: pass a whole number from 1 to {_MOST}")
    return size


def _every(span: timedelta | None) -> timedelta | None:
    if span is not None and (not isinstance(span, timedelta) or span <= timedelta(0)):
        raise BadBatch(f"every={span!r}: pass a timedelta above 0")
    return span
