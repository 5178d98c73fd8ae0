"""What figures are made of. Reads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from jobs.figures.periods import Period
from jobs.models.metrics import ENDED, RUNS, WAITS
from jobs.policy import histogram

_NONE = (0,) * histogram.BUCKETS
T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """How often what happened; see `MetricMinute`."""

    enqueued: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    dead: int = 0
    discarded: int = 0
    cancelled: int = 0
    interrupted: int = 0

    @property
    def ended(self) -> int:
        """Attempts that ended, interrupted ones left out."""
        return sum(getattr(self, column) for column in ENDED)

    @property
    def failure_rate(self) -> float | None:
        """The part of them that went wrong, 0 to 1; None of none at all."""
        return min(1.0, self.failed / self.ended) if self.ended else None

    @property
    def is_anything(self) -> bool:
        """Whether anything was counted."""
        return any(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True)
class Durations:
    """How long something took, in the buckets of `jobs.policy.histogram`; `total_ms` is the sum of all."""

    total_ms: int = 0
    buckets: Sequence[int] = _NONE

    @property
    def count(self) -> int:
        return sum(self.buckets)

    @property
    def mean_ms(self) -> float | None:
        return self.total_ms / self.count if self.count else None

    @property
    def p50_ms(self) -> float | None:
        return self.within_ms(50)

    @property
    def p95_ms(self) -> float | None:
        return self.within_ms(95)

    @property
    def p99_ms(self) -> float | None:
        return self.within_ms(99)

    def within_ms(self, percent: float) -> float | None:
        """What so many of them took less than: the end of a bucket, infinite for the last; None of none at all."""
        return histogram.bound_ms(self.buckets, percent)

    def estimate_ms(self, percent: float) -> float | None:
        """The same, interpolated within its bucket."""
        return histogram.percentile_ms(self.buckets, percent)


@dataclass(frozen=True)
class Slice:
    """What happened within one slice of a period, which begins `at`."""

    at: datetime
    counts: Counts = field(default_factory=Counts)
    wait: Durations = field(default_factory=Durations)
    run: Durations = field(default_factory=Durations)


@dataclass(frozen=True)
class Figures:
    """What happened in a period up to now: to one job, in one queue, or to all. `series` has each slice, the first
    first."""

    period: Period
    since: datetime
    job: str | None
    queue: str | None
    series: Sequence[Slice]
    counts: Counts
    wait: Durations
    run: Durations

    @property
    def failure_rate(self) -> float | None:
        """See `Counts.failure_rate`."""
        return self.counts.failure_rate


def read(row: Mapping[str, Any]) -> tuple[Counts, Durations, Durations]:
    """Counts, waits and run times of a row of sums, each under `sum_` and its column; what is missing is 0."""
    counts = Counts(**{one.name: row.get(f"sum_{one.name}", 0) for one in fields(Counts)})
    wait = Durations(row.get("sum_wait_ms", 0), _buckets(row, WAITS))
    return counts, wait, Durations(row.get("sum_run_ms", 0), _buckets(row, RUNS))


def _buckets(row: Mapping[str, Any], columns: Sequence[str]) -> Sequence[int]:
    return tuple(row.get(f"sum_{column}", 0) for column in columns)


def together(slices: Iterable[Slice]) -> tuple[Counts, Durations, Durations]:
    """What all of them have in all."""
    some = list(slices)
    counts = Counts(*(sum(getattr(one.counts, each.name) for one in some) for each in fields(Counts)))
    return counts, _all([one.wait for one in some]), _all([one.run for one in some])


def _all(durations: Sequence[Durations]) -> Durations:
    buckets = tuple(map(sum, zip(*(one.buckets for one in durations), strict=True))) or _NONE
    return Durations(sum(one.total_ms for one in durations), buckets)
