"""Python imports this first where the folder is on its path: the process's wall clock goes wrong by what a file says.

`BENCH_CLOCK` names the file, which holds seconds and may change at any time. Only clocks that tell the date are wrong:
`time.time`, `time.time_ns` and `datetime`. Waiting goes by the clock that only runs forward, as on a machine whose
time somebody sets.
"""

from __future__ import annotations

import datetime
import os
import time
from typing import Any

_LOOK_SECONDS = 0.2

_true_time, _true_time_ns = time.time, time.time_ns
_path = os.environ.get("BENCH_CLOCK", "")
_offset, _look_at = 0.0, 0.0


def offset() -> float:
    """Seconds by which the clock is wrong at present."""
    global _offset, _look_at
    now = time.monotonic()
    if now >= _look_at:
        _look_at = now + _LOOK_SECONDS
        with open(_path) as file:
            _offset = float(file.read() or _offset)
    return _offset


class _AnyDateTime(type):
    """What the C code makes of dates is of the true class, and must pass as ours."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _TrueDateTime)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _TrueDateTime)


_TrueDateTime = datetime.datetime


class _WrongDateTime(_TrueDateTime, metaclass=_AnyDateTime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(time.time())


if _path:
    time.time = lambda: _true_time() + offset()
    time.time_ns = lambda: _true_time_ns() + int(offset() * 1e9)
    _WrongDateTime.__name__ = _WrongDateTime.__qualname__ = "datetime"
    datetime.datetime = _WrongDateTime  # type: ignore[misc]
