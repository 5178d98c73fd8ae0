"""Figures of jobs by the minute: summed up in memory, then added to what is there by one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from django.db import connections, router
from django.db.models import QuerySet
from django.utils import timezone

from jobs.errors import DiscardJob, RetryLater
from jobs.models import MetricMinute
from jobs.models.metrics import RUNS, WAITS
from jobs.models.pruning import delete_in_chunks
from jobs.policy.histogram import bucket_of

KEPT = timedelta(days=14)
# SQLite takes 32,766 values in a statement; a row has 60.
_ROWS_AT_ONCE = 200

_KEYS = ("name", "queue", "minute")
_COUNTS = ("started", "succeeded", "failed", "retried", "dead", "discarded", "cancelled", "interrupted")
_COLUMNS = (*_COUNTS, "wait_ms", "run_ms", *WAITS, *RUNS)
_AT = {column: place for place, column in enumerate(_COLUMNS)}
_STARTED, _SUCCEEDED, _WAIT_MS, _RUN_MS = (_AT[column] for column in ("started", "succeeded", "wait_ms", "run_ms"))
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

    def write(self) -> None:
        """Add them to the rows, in the transaction that is open."""
        connection = connections[router.db_for_write(MetricMinute)]
        # In one order, so that nobody waits in a circle.
        rows = iter(sorted(self._sums.items()))
        with connection.cursor() as cursor:
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                values = [value for key, sums in chunk for value in (*_key_values(key, connection), *sums)]
                cursor.execute(_statement(len(chunk)), values)

    def _start(self, name: str, queue: str, started_ms: int, wait_ms: int) -> None:
        sums = self._at(name, queue, started_ms)
        sums[_STARTED] += 1
        sums[_WAIT_MS] += wait_ms
        sums[_FIRST_WAIT + bucket_of(wait_ms)] += 1

    def _at(self, name: str, queue: str, ms: int) -> list[int]:
        key = (name, queue, ms // _MINUTE_MS)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0] * len(_COLUMNS)
        return sums


def prune() -> int:
    """Delete figures that are older than two weeks, in chunks. Returns how many rows they were."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[MetricMinute]:
    return MetricMinute.objects.filter(minute__lt=timezone.now() - KEPT)


def _run(sums: list[int], run_ms: int) -> None:
    sums[_RUN_MS] += run_ms
    sums[_FIRST_RUN + bucket_of(run_ms)] += 1


def _key_values(key: tuple[str, str, int], connection: Any) -> Sequence[Any]:
    name, queue, minute = key
    begin = datetime.fromtimestamp(minute * _MINUTE_MS / 1000, UTC)
    return name, queue, MetricMinute._meta.get_field("minute").get_db_prep_value(begin, connection)


@cache
def _statement(count: int) -> str:
    table = MetricMinute._meta.db_table
    row = f"({', '.join(['%s'] * (len(_KEYS) + len(_COLUMNS)))})"
    added = ", ".join(f"{column} = {table}.{column} + excluded.{column}" for column in _COLUMNS)
    return (
        f"INSERT INTO {table} ({', '.join((*_KEYS, *_COLUMNS))}) VALUES {', '.join([row] * count)} "  # noqa: S608
        f"ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET {added}"
    )
