"""Stores entries that only say that a run succeeded, many in one statement.

Nearly every entry is such a one. What is any way odd is left to `changes`: a run that is told of twice, a number that
is none, a row that is not there, or that may not become succeeded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connections, router, transaction

from jobs import members, runs
from jobs.broker.journal import Entry
from jobs.metrics import Minutes
from jobs.models import JobRun, RunState
from jobs.policy import ids
from jobs.policy.storable import LARGEST, LATEST_MS
from jobs.signals import job_finished

# SQLite takes 32,766 values in a statement.
_ROWS_AT_ONCE = 500


class _End(NamedTuple):
    """What is told of a run that succeeded. `crashes` None leaves that column be; `result` is JSON."""

    run: str
    life: int
    attempts: int
    crashes: int | None
    started_ms: int
    ended_ms: int
    pushed_ms: int
    wait_ms: int
    run_ms: int
    worker: str
    release: str
    result: str | None


def store(entries: Sequence[Entry], minutes: Minutes) -> list[Entry]:
    """Write what these entries say, in the transaction that is open, and add them to the figures of `minutes`.

    Returns those that are left, in order.
    """
    using = router.db_for_write(JobRun)
    statement = _STATEMENTS.get(connections[using].vendor)
    ends = _ends(entries) if statement else {}
    if statement is None or not ends:
        return list(entries)
    # In the order of their ids, as everybody locks runs.
    ordered = [ends[run] for run in sorted(ends)]
    stored: set[str] = set()
    batches: Counter[int] = Counter()
    with connections[using].cursor() as cursor:
        for first in range(0, len(ordered), _ROWS_AT_ONCE):
            cursor.execute(*statement(ordered[first : first + _ROWS_AT_ONCE]))
            for run, name, queue, batch in cursor.fetchall():
                stored.add(run)
                if batch is not None:
                    batches[batch] += 1
                _count(ends[run], name, queue, minutes)
    members.count({batch: {"succeeded": count} for batch, count in batches.items()})
    if job_finished.receivers:
        transaction.on_commit(lambda: _tell(stored, using), using=using)
    return [entry for entry in entries if entry.data is None or str(entry.data.get("run")) not in stored]


def _count(end: _End, name: str, queue: str, minutes: Minutes) -> None:
    minutes.succeeded(
        name, queue, started_ms=end.started_ms, wait_ms=end.wait_ms, ended_ms=end.ended_ms, run_ms=end.run_ms
    )


def _tell(stored: set[str], using: str) -> None:
    for run in JobRun.objects.using(using).filter(pk__in=stored).order_by("pk"):
        job_finished.send_robust(run.name, run=run, verdict="done")


def _ends(entries: Sequence[Entry]) -> dict[str, _End]:
    """The plain ends among the entries, by run."""
    told = Counter(str(entry.data.get("run")) for entry in entries if entry.data)
    found = [end for end in map(_end, entries) if end is not None]
    return {end.run: end for end in found if told[end.run] == 1}


def _end(entry: Entry) -> _End | None:
    data = entry.data
    if data is None or data.get("verdict") != "done" or data.get("entry") != "settled":
        return None
    if "row" in data or "progress" in data:
        return None
    try:
        end = _End(
            data["run"],
            data["life"],
            data["attempts"],
            data.get("crashes"),
            data["started_ms"],
            entry.at_ms,
            data["pushed_ms"],
            data["wait_ms"],
            data["run_ms"],
            data["worker"],
            data["release"],
            None if data.get("result") is None else json.dumps(data["result"]),
        )
    except KeyError:
        return None
    return end if _is_sound(end) else None


# What each field may be; true is no number.
_KINDS = frozenset(
    (str, int, int, crashes, int, int, int, int, int, str, str, result)
    for crashes in (int, type(None))
    for result in (str, type(None))
)


def _is_sound(end: _End) -> bool:
    """Whether each field is what its column is for; SQLite would take anything."""
    return (
        tuple(map(type, end)) in _KINDS
        and min(end.life, end.attempts, end.crashes or 0, end.wait_ms, end.run_ms, end.started_ms, end.pushed_ms) >= 0
        and max(end.life, end.attempts, end.crashes or 0, end.wait_ms, end.run_ms) <= LARGEST
        and max(end.started_ms, end.pushed_ms) <= LATEST_MS
        and ids.is_as_text(end.run)
        and len(end.worker) <= 200
        and len(end.release) <= 100
    )


# The primary key must find the rows. A planner with old statistics takes few runs for pending, and would look at all of
# them, which may be a million, for each 500: what is computed (`state || ''`) offers it no index and no such guess.
_UPDATE = """
    WITH told
        (run, life, attempts, crashes, started, ended, pushed, wait_ms, run_ms, worker, release, result)
        AS ({told})
    UPDATE {table} AS run
    SET state = '{state}',
        attempts = told.attempts,
        crashes = coalesce(told.crashes, run.crashes),
        started_at = {started},
        ended_at = {ended},
        pushed_at = coalesce(run.pushed_at, {pushed}),
        wait_ms = told.wait_ms,
        run_ms = told.run_ms,
        worker = told.worker,
        release = told.release,
        result = told.result
    FROM told
    WHERE {among} run.id = told.run AND run.life = told.life AND run.state || '' NOT IN ({too_late})
    RETURNING rq_id, name, queue, batch_id
"""
_WORDS = {
    "table": JobRun._meta.db_table,
    "state": RunState.SUCCEEDED.value,
    "too_late": ", ".join(f"'{state.value}'" for state in RunState if state not in runs.MAY_SUCCEED),
}
_ARRAYS = ("uuid", "int", "int", "int", "bigint", "bigint", "bigint", "int", "int", "text", "text", "jsonb")
_POSTGRESQL = _UPDATE.format(
    among="run.id = ANY(%s::uuid[]) AND",
    told=f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _ARRAYS)})",  # noqa: S608
    **{name: f"to_timestamp(told.{name} / 1000.0)" for name in ("started", "ended", "pushed")},
    **_WORDS,
)


def _on_postgresql(ends: Sequence[_End]) -> tuple[str, list[Any]]:
    columns = [list(column) for column in zip(*ends, strict=True)]
    return _POSTGRESQL, [*columns, columns[0]]


def _on_sqlite(ends: Sequence[_End]) -> tuple[str, list[Any]]:
    values: list[Any] = []
    for end in ends:
        times = (_sqlite_time(end.started_ms), _sqlite_time(end.ended_ms), _sqlite_time(end.pushed_ms))
        values += (end.run.replace("-", ""), *end[1:4], *times, *end[7:])
    return _sqlite_statement(len(ends)), values


@lru_cache(maxsize=64)
def _sqlite_statement(count: int) -> str:
    row = f"({', '.join(['%s'] * len(_End._fields))})"
    times = {name: f"told.{name}" for name in ("started", "ended", "pushed")}
    return _UPDATE.format(among="", told=f"VALUES {', '.join([row] * count)}", **times, **_WORDS)


# Runs that were claimed or settled together share their times.
@lru_cache(maxsize=4096)
def _sqlite_time(ms: int) -> str:
    """As Django writes it."""
    return str(_SQLITE_EPOCH + timedelta(milliseconds=ms))


_SQLITE_EPOCH = datetime(1970, 1, 1)
_STATEMENTS: dict[str, Callable[[Sequence[_End]], tuple[str, list[Any]]]] = {
    "postgresql": _on_postgresql,
    "sqlite": _on_sqlite,
}
