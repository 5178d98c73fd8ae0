"""Figures of jobs by the minute: summed up in memory, then added to what is there, and to the totals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from operator import add
from typing import Any

from django.db import connections, models, router

from jobs.errors import DiscardJob, RetryLater
from jobs.models import MetricMinute, MetricTotal
from jobs.models.metrics import COLUMNS, RUNS, WAITS
from jobs.policy.histogram import bucket_of

# SQLite takes 32,766 values in a statement; a row has 62.
_ROWS_AT_ONCE = 200

_AT = {column: place for place, column in enumerate(COLUMNS)}
_STARTED, _SUCCEEDED, _WAIT_MS, _RUN_MS = (_AT[column] for column in ("started", "succeeded", "wait_ms", "run_ms"))
_ENQUEUED = _AT["enqueued"]
_KEYS: dict[type[models.Model], tuple[str, ...]] = {
    MetricMinute: ("name", "queue", "minute"),
    MetricTotal: ("name", "queue"),
}
_FIRST_WAIT, _FIRST_RUN = _AT[WAITS[0]], _AT[RUNS[0]]

_COUNTED_AS = {
    "done": "succeeded",
    "retry": "retried",
    "bury": "dead",
    "discard": "discarded",
    "cancel": "cancelled",
    "hand back": "interrupted",
    "isolate": "interrupted",
}
_WRONG = frozenset({"raised", "timed out", "crashed", "unknown job", "bad arguments"})
# What a job raises on purpose is nothing that went wrong.
_ON_PURPOSE = frozenset(f"{error.__module__}.{error.__qualname__}" for error in (DiscardJob, RetryLater))

_MINUTE_MS = 60_000


class Minutes:
    """What some attempts add to the figures, by job, queue and minute."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, int], list[int]] = {}

    def succeeded(self, name: str, queue: str, *, started_ms: int, wait_ms: int, ended_ms: int, run_ms: int) -> None:
        """Add an attempt that went well."""
        self._start(name, queue, started_ms, wait_ms)
        sums = self._at(name, queue, ended_ms)
        sums[_SUCCEEDED] += 1
        _run(sums, run_ms)

    def settled(
        self,
        name: str,
        queue: str,
        *,
        started_ms: int,
        wait_ms: int,
        ended_ms: int,
        run_ms: int,
        verdict: str,
        outcome: str,
        error_class: str,
    ) -> None:
        """Add an attempt that ended in any way. One that was put off has not begun, unless it was interrupted; nor has
        one that a fuse discarded.
        """
        counted_as = "interrupted" if outcome == "interrupted" else _COUNTED_AS.get(verdict)
        if counted_as is None:
            return
        if outcome != "fused":
            self._start(name, queue, started_ms, wait_ms)
        sums = self._at(name, queue, ended_ms)
        sums[_AT[counted_as]] += 1
        if counted_as == "interrupted" or outcome == "fused":
            return
        sums[_AT["failed"]] += outcome in _WRONG and error_class not in _ON_PURPOSE
        _run(sums, run_ms)

    def enqueued(self, name: str, queue: str, *, at_ms: int, count: int) -> None:
        """Add runs that came to Redis for the first time."""
        self._at(name, queue, at_ms)[_ENQUEUED] += count

    def counted(self, sums: Iterable[Sequence[Any]]) -> None:
        """Add what `sums` of another process gave, through JSON. Raises LookupError, ValueError or TypeError."""
        for name, queue, minute, counts in sums:
            mine = self._at(str(name)[:200], str(queue)[:100], int(minute) * _MINUTE_MS)
            for place, count in counts.items():
                mine[int(place)] += int(count)

    def sums(self) -> list[list[Any]]:
        """What was counted, for `counted` to add elsewhere: job, queue, minute, and the counts by their places."""
        return [[*key, {place: count for place, count in enumerate(sums) if count}] for key, sums in self._sums.items()]

    def write(self) -> None:
        """Add them to the rows, in the transaction that is open."""
        connection = connections[router.db_for_write(MetricMinute)]
        # In one order, so that nobody waits in a circle.
        minutes = [(_key_values(key, connection), sums) for key, sums in sorted(self._sums.items())]
        _add(MetricMinute, minutes, connection)
        _add(MetricTotal, sorted(self._totals().items()), connection)

    def _totals(self) -> dict[tuple[str, str], list[int]]:
        totals: dict[tuple[str, str], list[int]] = {}
        for (name, queue, _), sums in self._sums.items():
            there = totals.get((name, queue))
            totals[name, queue] = sums if there is None else list(map(add, there, sums))
        return totals

    def _start(self, name: str, queue: str, started_ms: int, wait_ms: int) -> None:
        sums = self._at(name, queue, started_ms)
        sums[_STARTED] += 1
        sums[_WAIT_MS] += wait_ms
        sums[_FIRST_WAIT + bucket_of(wait_ms)] += 1

    def _at(self, name: str, queue: str, ms: int) -> list[int]:
        key = (name, queue, ms // _MINUTE_MS)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0] * len(COLUMNS)
        return sums


def _run(sums: list[int], run_ms: int) -> None:
    sums[_RUN_MS] += run_ms
    sums[_FIRST_RUN + bucket_of(run_ms)] += 1


def _key_values(key: tuple[str, str, int], connection: Any) -> Sequence[Any]:
    name, queue, minute = key
    begin = datetime.fromtimestamp(minute * _MINUTE_MS / 1000, UTC)
    return name, queue, MetricMinute._meta.get_field("minute").get_db_prep_value(begin, connection)


def _add(model: type[models.Model], rows: Iterable[tuple[Sequence[Any], list[int]]], connection: Any) -> None:
    waiting = iter(rows)
    with connection.cursor() as cursor:
        while chunk := list(islice(waiting, _ROWS_AT_ONCE)):
            values = [value for keys, sums in chunk for value in (*keys, *sums)]
            cursor.execute(_statement(model, len(chunk)), values)


@cache
def _statement(model: type[models.Model], count: int) -> str:
    table, keys = model._meta.db_table, _KEYS[model]
    row = f"({', '.join(['%s'] * (len(keys) + len(COLUMNS)))})"
    added = ", ".join(f"{column} = {table}.{column} + excluded.{column}" for column in COLUMNS)
    # What is added to a minute, its hour does not have yet.
    anew = ", rolled = false" if model is MetricMinute else ""
    return (
        f"INSERT INTO {table} ({', '.join((*keys, *COLUMNS))}) VALUES {', '.join([row] * count)} "  # noqa: S608
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}{anew}"
    )
