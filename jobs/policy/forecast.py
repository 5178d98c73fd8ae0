"""What becomes of a queue as it goes now, and how many workers it takes. Reads no clock and asks nobody."""

from __future__ import annotations

import math
from dataclasses import dataclass

IDLE, DRAINS, GROWING = "idle", "drains", "growing"
NO_WORKER, PAUSED, UNKNOWN = "no_worker", "paused", "unknown"

# Arrivals scatter: as much more or less a minute is balance.
_NOISE_PER_MINUTE = 1.0
_NOISE_SHARE = 0.05


@dataclass(frozen=True)
class Load:
    """A queue as it was measured. None is what nobody knows.

    `depth` runs wait; so many come and start in a minute; `threads` of live workers serve it, and a run takes
    `run_seconds` at the mean.
    """

    depth: int | None = None
    in_per_minute: float | None = None
    out_per_minute: float | None = None
    threads: int | None = None
    run_seconds: float | None = None
    is_paused: bool = False

    @property
    def growth_per_minute(self) -> float | None:
        """By how many it grows in a minute; below 0 it shrinks."""
        if self.in_per_minute is None or self.out_per_minute is None:
            return None
        return self.in_per_minute - self.out_per_minute


@dataclass(frozen=True)
class Forecast:
    """What becomes of a queue. `eta_seconds` is until nothing waits: None where that is not to be seen."""

    state: str
    eta_seconds: float | None = None


def forecast(load: Load) -> Forecast:
    """What becomes of a queue if it goes on as it does.

    >>> forecast(Load(depth=600, in_per_minute=40, out_per_minute=100, threads=10))
    Forecast(state='drains', eta_seconds=600.0)
    >>> forecast(Load(depth=600, in_per_minute=100, out_per_minute=40, threads=10)).state
    'growing'
    """
    if load.is_paused:
        return Forecast(PAUSED)
    if load.depth is None or load.threads is None:
        return Forecast(UNKNOWN)
    if load.threads == 0:
        return Forecast(NO_WORKER)
    if load.depth == 0:
        return Forecast(IDLE, 0.0)
    return _of_flow(load, load.depth)


def _of_flow(load: Load, depth: int) -> Forecast:
    growth = load.growth_per_minute
    if growth is None or (not load.in_per_minute and not load.out_per_minute):
        return _by_capacity(load, depth)
    noise = max(_NOISE_PER_MINUTE, _NOISE_SHARE * (load.in_per_minute or 0.0))
    if growth >= noise:
        return Forecast(GROWING)
    return Forecast(DRAINS, 60 * depth / -growth if growth <= -noise else None)


def _by_capacity(load: Load, depth: int) -> Forecast:
    """Before anything was measured of its flow: by what the threads can do, if nothing more comes."""
    if not load.threads or load.run_seconds is None:
        return Forecast(UNKNOWN)
    return Forecast(DRAINS, depth * load.run_seconds / load.threads)


def threads_needed(load: Load, *, target_seconds: float) -> int | None:
    """How many threads keep the oldest wait below the target, and bring it there within the target.

    What comes in takes as many threads as run at once (Little's law); what waits must start within the target.

    >>> threads_needed(Load(depth=0, in_per_minute=120, run_seconds=2.0), target_seconds=60)
    4
    >>> threads_needed(Load(depth=600, in_per_minute=0, run_seconds=2.0), target_seconds=60)
    20
    """
    if load.is_paused:
        return 0
    if load.depth is None:
        return None
    if not load.depth and not load.in_per_minute:
        return 0
    if load.run_seconds is None:
        return None
    a_second = (load.in_per_minute or 0.0) / 60 + load.depth / target_seconds
    # A hair less, so that 4.000000001 by rounding is no fifth thread.
    return max(1, math.ceil(a_second * load.run_seconds - 1e-9))


def workers_needed(load: Load, *, target_seconds: float, threads_each: float) -> int | None:
    """The same in processes of so many threads each."""
    threads = threads_needed(load, target_seconds=target_seconds)
    return None if threads is None else math.ceil(threads / max(1.0, threads_each))
