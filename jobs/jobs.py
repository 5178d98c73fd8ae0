"""The app's own housekeeping, written with its own API."""

from __future__ import annotations

from jobs import effects, metrics, runs
from jobs.registry import job


@job(retry=3, unique="args", timeout=3600)
def prune_runs(day: str) -> dict[str, int]:
    """Delete ended runs that are older than `JOBS["KEEP_DAYS"]` says, effects that nobody can ask for again, and
    figures of more than two weeks.

    `day` makes it one run a day.
    """
    return runs.prune() | {"effects": effects.prune(), "figures": metrics.prune()}
