"""How long to wait before trying again. Reads no clock and draws no dice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.errors import BadOptions
from jobs.policy.spans import in_words

# Failures so far (1 after the first) in, seconds out. Those made here print themselves, and say what they do as `str`.
Backoff = Callable[[int], float]


def polynomial(power: float = 4, *, offset: float = 15.0, cap: float = 30 * 86_400.0) -> Backoff:
    """Wait `failures**power + offset`, up to `cap`. In seconds.

    The default is Sidekiq's rule: 25 attempts spread over about 21 days.

    >>> wait = polynomial()
    >>> [wait(failures) for failures in (1, 2, 3, 24)]
    [16.0, 31.0, 96.0, 331791.0]
    """
    return _Polynomial(*_numbers(power, offset, cap))


def exponential(base: float = 2.0, *, first: float = 15.0, cap: float = 3600.0) -> Backoff:
    """Wait `first`, then `base` times longer after each failure, up to `cap`. All in seconds.

    >>> wait = exponential(first=10, cap=60)
    >>> [wait(failures) for failures in (1, 2, 3, 4, 5)]
    [10.0, 20.0, 40.0, 60.0, 60.0]
    """
    return _Exponential(*_numbers(base, first, cap))


def linear(step: float = 60.0, *, cap: float = 3600.0) -> Backoff:
    """Wait `step` longer after each failure, up to `cap`. In seconds.

    >>> [linear(30, cap=70)(failures) for failures in (1, 2, 3)]
    [30.0, 60.0, 70.0]
    """
    return _Linear(*_numbers(step, cap))


def fixed(seconds: float) -> Backoff:
    """Wait the same each time.

    >>> [fixed(5)(failures) for failures in (1, 2)]
    [5.0, 5.0]
    """
    return _Fixed(*_numbers(seconds))


def delays(seconds: Sequence[float]) -> Backoff:
    """Wait as listed; the last entry serves all later failures.

    Raises `BadOptions` for an empty list, as all of these do for what is no number of seconds.

    >>> wait = delays([1, 10])
    >>> [wait(failures) for failures in (1, 2, 3)]
    [1.0, 10.0, 10.0]
    """
    if not seconds:
        raise BadOptions("delays() needs at least one wait; use attempts=1 for a job that is never retried")
    return _Delays(_numbers(*seconds))


def described(backoff: Backoff) -> tuple[str, str]:
    """A back-off as it is written, and in words; of a callable of the job's own, its name.

    >>> described(exponential(first=2, cap=60))
    ('exponential(2, first=2, cap=60)', '2 s, then 2 times longer each time, up to 1 min')
    >>> described(len)
    ('len', 'as the function says')
    """
    if isinstance(backoff, _Polynomial | _Exponential | _Linear | _Fixed | _Delays):
        return repr(backoff), str(backoff)
    return getattr(backoff, "__qualname__", type(backoff).__qualname__), "as the function says"


@dataclass(frozen=True, repr=False)
class _Polynomial:
    power: float
    offset: float
    cap: float

    def __call__(self, failures: int) -> float:
        try:
            return min(self.cap, float(failures) ** self.power + self.offset)
        except OverflowError:
            return self.cap

    def __repr__(self) -> str:
        return f"polynomial({self.power:.12g}, offset={self.offset:.12g}, cap={self.cap:.12g})"

    def __str__(self) -> str:
        return f"failures to the power of {self.power:.12g}, and {in_words(self.offset)}, up to {in_words(self.cap)}"


@dataclass(frozen=True, repr=False)
class _Exponential:
    base: float
    first: float
    cap: float

    def __call__(self, failures: int) -> float:
        try:
            return min(self.cap, self.first * self.base ** (failures - 1))
        except OverflowError:
            return self.cap if self.first else 0.0

    def __repr__(self) -> str:
        return f"exponential({self.base:.12g}, first={self.first:.12g}, cap={self.cap:.12g})"

    def __str__(self) -> str:
        return f"{in_words(self.first)}, then {self.base:.12g} times longer each time, up to {in_words(self.cap)}"


@dataclass(frozen=True, repr=False)
class _Linear:
    step: float
    cap: float

    def __call__(self, failures: int) -> float:
        return min(self.cap, self.step * failures)

    def __repr__(self) -> str:
        return f"linear({self.step:.12g}, cap={self.cap:.12g})"

    def __str__(self) -> str:
        return f"{in_words(self.step)} longer each time, up to {in_words(self.cap)}"


@dataclass(frozen=True, repr=False)
class _Fixed:
    seconds: float

    def __call__(self, failures: int) -> float:
        return self.seconds

    def __repr__(self) -> str:
        return f"fixed({self.seconds:.12g})"

    def __str__(self) -> str:
        return f"{in_words(self.seconds)} each time"


@dataclass(frozen=True, repr=False)
class _Delays:
    seconds: tuple[float, ...]

    def __call__(self, failures: int) -> float:
        return self.seconds[min(failures, len(self.seconds)) - 1]

    def __repr__(self) -> str:
        return f"delays([{', '.join(f'{one:.12g}' for one in self.seconds)}])"

    def __str__(self) -> str:
        return f"{', '.join(map(in_words, self.seconds))}; the last serves all later ones"


def _numbers(*values: float) -> tuple[float, ...]:
    return tuple(map(_number, values))


def _number(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise BadOptions(f"a back-off was given {value!r}: pass a number from 0, in seconds where it is a wait")
    return float(value)
