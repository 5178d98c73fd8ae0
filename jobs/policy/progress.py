"""How far a run is, as it says itself: values and the arithmetic of them. Reads no clock, and stores nothing."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

from jobs.errors import BadOptions
from jobs.policy.rates import rate_in_words
from jobs.policy.storable import LATEST_MS

LONGEST_MESSAGE = 200
LONGEST_UNIT = 20
# Up to here a float is exact, in Redis' Lua and in JavaScript too.
_LARGEST = 2.0**53
# The rate is that of the latest minute: what was slow an hour ago does not count.
_WINDOW_SECONDS = 60.0
_SAMPLE_SECONDS = 1.0
# One in an hour, about.
_SLOWEST = 1 / 4000


@dataclass(frozen=True)
class Progress:
    """`done` of `total` are done, None where nobody knows how many there are.

    `rate` is how many are done in a second, of late, None where that is not known. `at` is when it was said, in seconds
    since 1970.
    """

    done: float
    total: float | None = None
    message: str = ""
    unit: str = ""
    rate: float | None = None
    at: float = 0.0

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where the total is not known.

        >>> Progress(700, 1000).share, Progress(3, 0).share, Progress(3).share
        (0.7, 1.0, None)
        """
        if self.total is None:
            return None
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0

    @property
    def seconds_left(self) -> float | None:
        """How long it takes at this rate; None where that cannot be said."""
        if self.total is None or not self.rate:
            return None
        return max(0.0, self.total - self.done) / self.rate

    def dump(self) -> str:
        """As `read` takes it."""
        return _encode([self.done, self.total, self.message, self.unit, self.rate, self.at])

    def __str__(self) -> str:
        """
        >>> str(Progress(700, 1000)), str(Progress(1234.5, unit="bytes"))
        ('700 of 1,000 (70 %)', '1,234.5 bytes')
        """
        unit = f" {self.unit}" if self.unit else ""
        if self.total is None or self.share is None:
            return f"{number(self.done)}{unit}"
        return f"{number(self.done)} of {number(self.total)}{unit} ({math.floor(100 * self.share)} %)"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def number(value: float) -> str:
    """A number as people read it.

    >>> number(1234567.0), number(0.25)
    ('1,234,567', '0.25')
    """
    return f"{round(value, 2):,.2f}".rstrip("0").rstrip(".")


def pace(rate: float | None) -> str:
    """A rate as people read it; empty for none that is worth telling.

    >>> pace(12.0), pace(0.5), pace(120345.6), pace(1e-9), pace(None)
    ('12/s', '30/min', '120,346/s', '', '')
    """
    if not rate or rate < _SLOWEST:
        return ""
    return f"{number(round(rate))}/s" if rate >= 1000 else rate_in_words(rate)


def read(text: str | None) -> Progress | None:
    """What `dump` wrote; None for nothing, or what is damaged."""
    try:
        done, total, message, unit, rate, at = json.loads(text or "")
        numbers = [one for one in (done, total, rate, at) if one is not None]
        sound = all(_is_amount(one) for one in numbers) and done is not None and at is not None
        if not sound or at * 1000 > LATEST_MS or not isinstance(message, str) or not isinstance(unit, str):
            return None
        return Progress(done, total, message[:LONGEST_MESSAGE], unit[:LONGEST_UNIT], rate, at)
    except (ValueError, TypeError, RecursionError):
        return None


def check(done: Any, total: Any, message: Any, unit: Any) -> None:
    """Raises `BadOptions` for what cannot be progress."""
    if not _is_amount(done) or not (total is None or _is_amount(total)):
        raise BadOptions(f"run.progress({done!r}, {total!r}): pass numbers from 0, and None for a total nobody knows")
    if not isinstance(message, str) or not isinstance(unit, str):
        raise BadOptions(f"run.progress: message={message!r}, unit={unit!r}: pass texts")


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST


class Pace:
    """How fast something goes: told now and then how much is done and when, it knows the rate of the latest minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()
        self.rate: float | None = None

    def note(self, done: float, *, at: float) -> None:
        """`done` are done at `at`, in seconds of any clock that goes on. Less than before begins anew."""
        samples = self._samples
        if samples and done < samples[-1][1]:
            samples.clear()
            self.rate = None
        if samples and at - samples[-1][0] < _SAMPLE_SECONDS:
            return
        samples.append((at, done))
        while at - samples[0][0] > _WINDOW_SECONDS and len(samples) > 2:
            samples.popleft()
        began, before = samples[0]
        self.rate = (done - before) / (at - began) if at > began else None
