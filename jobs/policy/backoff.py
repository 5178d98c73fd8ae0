"""How long to wait before trying again. Reads no clock and draws no dice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jobs.errors import BadOptions

# Attempts made so far (1 after the first failure) in, seconds out.
Backoff = Callable[[int], float]


def polynomial(power: float = 4, *, offset: float = 15.0, cap: float = 30 * 86_400.0) -> Backoff:
    """Wait `attempts**power + offset`, up to `cap`. In seconds.

    The default is Sidekiq's rule: 25 attempts spread over about 21 days.

    >>> wait = polynomial()
    >>> [wait(attempts) for attempts in (1, 2, 3, 24)]
    [16.0, 31.0, 96.0, 331791.0]
    """
    power, offset, cap = (_number(value) for value in (power, offset, cap))
    return lambda attempts: min(cap, float(attempts) ** power + offset)


def exponential(base: float = 2.0, *, first: float = 15.0, cap: float = 3600.0) -> Backoff:
    """Wait `first`, then `base` times longer after each failure, up to `cap`. All in seconds.

    >>> wait = exponential(first=10, cap=60)
    >>> [wait(attempts) for attempts in (1, 2, 3, 4, 5)]
    [10.0, 20.0, 40.0, 60.0, 60.0]
    """

    base, first, cap = (_number(value) for value in (base, first, cap))

    def wait(attempts: int) -> float:
        try:
            return min(cap, first * base ** (attempts - 1))
        except OverflowError:
            return cap

    return wait


def linear(step: float = 60.0, *, cap: float = 3600.0) -> Backoff:
    """Wait `step` longer after each failure, up to `cap`. In seconds.

    >>> [linear(30, cap=70)(attempts) for attempts in (1, 2, 3)]
    [30.0, 60.0, 70.0]
    """
    step, cap = _number(step), _number(cap)
    return lambda attempts: min(cap, step * attempts)


def fixed(seconds: float) -> Backoff:
    """Wait the same each time.

    >>> [fixed(5)(attempts) for attempts in (1, 2)]
    [5.0, 5.0]
    """
    wait = _number(seconds)
    return lambda attempts: wait


def delays(seconds: Sequence[float]) -> Backoff:
    """Wait as listed; the last entry serves all later failures.

    Raises `BadOptions` for an empty list, as all of these do for what is no number of seconds.

    >>> wait = delays([1, 10])
    >>> [wait(attempts) for attempts in (1, 2, 3)]
    [1.0, 10.0, 10.0]
    """
    if not seconds:
        raise BadOptions("delays() needs at least one wait; use attempts=1 for a job that is never retried")
    waits = [_number(one) for one in seconds]
    return lambda attempts: waits[min(attempts, len(waits)) - 1]


def _number(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise BadOptions(f"a back-off was given {value!r}: pass a number from 0, in seconds where it is a wait")
    return float(value)
