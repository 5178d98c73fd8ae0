"""The database goes away while jobs wait that write to it.

1. Jobs are enqueued. When all wait the workers begin.
2. PostgreSQL is stopped, or SQLite's file is locked, for a while, and comes back.
3. No attempt may have been burnt for nothing: all end well, few of them after more than one attempt.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.databases import OwnPostgreSQL, SQLite, can_start_postgresql
from bench.faults.deaths import attempts_of_rows
from bench.faults.fleet import Hit
from bench.faults.trial import Result, Settings, trial
from bench.processes import family

WORKERS = 4
_DOWN_SECONDS = {"quick": 10.0, "full": 60.0}
_CALM_SECONDS = 60.0
# By then nobody should try any more but to see whether it is back.
_OPEN_WITHIN_SECONDS = 5.0


def run(settings: Settings) -> Result:
    """Let it happen, on PostgreSQL where its programs are, else on SQLite."""
    down = _DOWN_SECONDS.get(settings.profile, _DOWN_SECONDS["full"])
    own = can_start_postgresql()
    database: Any = OwnPostgreSQL if own else SQLite
    with trial(settings, workers=WORKERS, limit_seconds=3 * down + 120 + settings.jobs / 5, database=database) as one:
        client = one.enqueue(settings.jobs)
        one.wait(lambda: one.fleet.has_ended(client), seconds=2 * _CALM_SECONDS, fleet=False)
        one.fleet.keep_running()
        one.wait(lambda: one.side.count_over() >= settings.jobs // 20, seconds=_CALM_SECONDS)
        alive = {member for pid in one.fleet.pids for member in family(pid)}
        with away(one.ours.database):
            gone_at = time.monotonic()
            one.hits.append(Hit(gone_at, ()))
            one.rest(down)
        back_at = time.monotonic()
        one.until_over(settings.jobs)
        ended = alive - {member for pid in one.fleet.pids for member in family(pid)}
        late = range_of_starts(one.records(), gone_at + _OPEN_WITHIN_SECONDS, back_at)
        attempts = attempts_of_rows(one)
        burnt = sum((count - 1) * runs for count, runs in attempts.items() if count > 1)
        allowed = 2 * WORKERS * one.side.at_once
        broken = [f"{burnt} attempts were burnt, more than {allowed}"] if burnt > allowed else []
        broken += [f"{len(ended)} processes of workers ended"] if ended else []
        return one.result(
            planned=1,
            jobs=settings.jobs,
            broken=broken,
            figures={
                "database": type(one.ours.database).__name__,
                "attempts": {str(count): runs for count, runs in sorted(attempts.items())},
                "burnt": burnt,
                "starts_while_open": late,
                "worker_deaths": len(ended),
            },
            lines=[
                f"{type(one.ours.database).__name__} away for {down:.0f} s: {burnt} attempts burnt, "
                f"{late} starts in it after the first {_OPEN_WITHIN_SECONDS:.0f} s"
            ],
        )


@contextlib.contextmanager
def away(database: SQLite | OwnPostgreSQL) -> Iterator[None]:
    """Nobody can write for the length of the block; a stopped server does not answer at all."""
    if isinstance(database, OwnPostgreSQL):
        database.stop()
        try:
            yield
        finally:
            database.start()
        return
    path = Path(database.url.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def range_of_starts(records: Any, after: float, before: float) -> int:
    """Jobs that were started between two moments."""
    return sum(record.kind == "start" and after < record.at < before for record in records)
