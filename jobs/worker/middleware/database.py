"""Each attempt begins with usable database connections and leaves none broken behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from jobs.context import CurrentRun
from jobs.errors import JobStopped, JobTimedOut


def database_connections(get_result: Callable[[CurrentRun], Any]) -> Callable[[CurrentRun], Any]:
    """Close connections that are old, broken, in a transaction, or were struck by a time limit."""

    def middleware(run: CurrentRun) -> Any:
        # Tests run jobs inside a transaction of their own, which is theirs to end. A worker's thread has none: the
        # end of each attempt saw to it.
        callers = [one for one in _opened.connections if _is_in_transaction(one)]
        _refresh(but=callers)
        try:
            return get_result(run)
        except (JobTimedOut, JobStopped):
            # The exception may have struck in the middle of the driver's work.
            _drop_all(but=callers)
            raise
        finally:
            _refresh(but=callers)

    return middleware


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """False for one that was closed inside its block: nothing can come of that transaction any more."""
    return connection.in_atomic_block and not connection.closed_in_transaction


class _Opened(threading.local):
    """The connections that this thread has opened. To ask Django for them costs more than a short job."""

    def __init__(self) -> None:
        self.connections: list[BaseDatabaseWrapper] = [*connections.all(initialized_only=True)]


_opened = _Opened()


def _note(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if not any(known is connection for known in _opened.connections):
        _opened.connections.append(connection)


connection_created.connect(_note, dispatch_uid="jobs.worker.middleware.database")


def _refresh(*, but: list[BaseDatabaseWrapper]) -> None:
    """What Django does around a request; its own functions would also close a connection inside a transaction."""
    for connection in _others(but):
        connection.queries_log.clear()
        if connection.in_atomic_block or connection.needs_rollback:
            _drop(connection)
        connection.close_if_unusable_or_obsolete()


def _drop_all(*, but: list[BaseDatabaseWrapper]) -> None:
    for connection in _others(but):
        _drop(connection)


def _drop(connection: BaseDatabaseWrapper) -> None:
    """Close it with what is open in it, and forget the blocks that a job entered and never left.

    Inside a block, Django's own `close` keeps the dead connection until the block's end, which does not come.
    """
    if connection.closed_in_transaction:
        connection.connection = None
    connection.in_atomic_block = connection.needs_rollback = connection.closed_in_transaction = False
    connection.savepoint_ids, connection.atomic_blocks = [], []
    # What is broken may refuse to be closed, and is let go all the same.
    with contextlib.suppress(Error):
        connection.close()


def _others(but: list[BaseDatabaseWrapper]) -> list[BaseDatabaseWrapper]:
    if not but:
        return [*_opened.connections]
    return [one for one in _opened.connections if not any(one is caller for caller in but)]
