"""What changed with a release: the time since then beside as much time before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from jobs.figures.periods import HOURS, MINUTES
from jobs.figures.reading import of_jobs, rows_between
from jobs.figures.values import Counts, Durations, read
from jobs.models.metrics import RUNS
from jobs.policy import histogram

# Sooner, a few runs say nothing.
_TOO_SOON = timedelta(minutes=5)
# Up to then by minutes, and of half an hour; later by hours, and of a day.
_BY_HOURS_AFTER = timedelta(hours=2)
_MINUTES_MOST, _HOURS_MOST = timedelta(minutes=30), timedelta(hours=24)
_COLUMNS = ("started", "succeeded", "failed", "retried", "dead", "discarded", "cancelled", "run_ms", *RUNS)


@dataclass(frozen=True)
class Change:
    """One job before a moment and since then, for as long."""

    before: Counts
    after: Counts
    run_before: Durations
    run_after: Durations

    @property
    def failure_rate(self) -> float | None:
        """By how much the failure rate changed, -1 to 1; None where there was nothing to compare."""
        before, after = self.before.failure_rate, self.after.failure_rate
        return None if before is None or after is None else after - before

    @property
    def p95_steps(self) -> int | None:
        """By how many doublings the run time changed that 95 % stay below."""
        before, after = (histogram.bucket_at(one.buckets, 95) for one in (self.run_before, self.run_after))
        return None if before is None or after is None else after - before


def change_since(moment: datetime, job: str | None = None, *, now: datetime | None = None) -> dict[str, Change]:
    """What changed at a moment, for each job or for one; nothing where that is less than five minutes ago. Two queries.

    Compared is up to half an hour on both sides, or up to a day when two hours have passed.
    """
    now = now or timezone.now()
    since = now - moment
    if since < _TOO_SOON:
        return {}
    grain, most = (MINUTES, _MINUTES_MOST) if since < _BY_HOURS_AFTER else (HOURS, _HOURS_MOST)
    before_end = grain.begin(moment)
    # The slice of the moment itself belongs to neither side.
    after_begin = before_end + grain.every
    length = min(most, grain.begin(now) + grain.every - after_begin)
    before = of_jobs(rows_between(grain, before_end - length, before_end, job=job), _COLUMNS)
    after = of_jobs(rows_between(grain, after_begin, after_begin + length, job=job), _COLUMNS)
    return {name: _change(before.get(name, {}), after.get(name, {})) for name in before.keys() | after.keys()}


def _change(before: dict[str, int], after: dict[str, int]) -> Change:
    (counts_before, _, run_before), (counts_after, _, run_after) = read(before), read(after)
    return Change(counts_before, counts_after, run_before, run_after)
