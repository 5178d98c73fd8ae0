"""Rows that nobody changes or deletes: refused here in words, and by triggers in the database.

Where the database cannot tell `flush`, which empties all tables, from a deletion, it asks this process.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from django.db import models
from django.db.backends.base.operations import BaseDatabaseOperations

# The name by which SQLite's trigger asks.
IS_FLUSHING = "jobs_is_flushing"
_FLUSH = BaseDatabaseOperations.execute_sql_flush.__code__


class AppendOnly(models.QuerySet[Any]):
    """Rows to be read and added. Everything else raises `TypeError`."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("audit entries are never changed; write another one that says what happened since")

    def delete(self) -> NoReturn:
        raise TypeError("audit entries are never deleted")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.update()

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.update()

    update.alters_data = delete.alters_data = True  # type: ignore[attr-defined]


def tell_sqlite(connection: Any, **kwargs: Any) -> None:
    """For each new connection to SQLite: let its trigger ask whether the tables are being emptied."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(IS_FLUSHING, 0, _is_flushing)


def _is_flushing() -> bool:
    """Whether Django's `flush` is what deletes. SQLite has no TRUNCATE, so it deletes row by row as others do."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code is _FLUSH:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
