"""Each attempt begins with usable database connections and leaves none broken behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections

from jobs.context import CurrentRun
from jobs.errors import JobTimedOut


def database_connections(get_result: Callable[[CurrentRun], Any]) -> Callable[[CurrentRun], Any]:
    """Close connections that are old, broken, in a transaction, or were struck by a time limit."""

    def middleware(run: CurrentRun) -> Any:
        # Tests run jobs inside a transaction of their own, which is theirs to end.
        callers = [one.alias for one in connections.all(initialized_only=True) if one.in_atomic_block]
        _refresh(but=callers)
        try:
            return get_result(run)
        except JobTimedOut:
            # The exception may have struck in the middle of the driver's work.
            _close_all(but=callers)
            raise
        finally:
            _refresh(but=callers)
            _close_left_open(but=callers)

    return middleware


def _refresh(*, but: list[str]) -> None:
    """What Django does around a request; its own functions would also close a connection inside a transaction."""
    for connection in connections.all(initialized_only=True):
        if connection.alias not in but:
            connection.queries_log.clear()
            connection.close_if_unusable_or_obsolete()


def _close_left_open(*, but: list[str]) -> None:
    for connection in connections.all(initialized_only=True):
        if connection.alias not in but and (connection.in_atomic_block or connection.needs_rollback):
            connection.close()


def _close_all(*, but: list[str]) -> None:
    for connection in connections.all(initialized_only=True):
        if connection.alias not in but:
            connection.close()
