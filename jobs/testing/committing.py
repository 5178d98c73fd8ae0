"""Calls functions once their caller's transaction has committed, also in tests that never commit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.db import DatabaseError, connections, transaction

from jobs import outbox


class AfterCommit:
    """Functions that wait for the transaction in which they were handed over.

    1. Outside a transaction, `call` calls at once.
    2. Inside one, it hands over to Django's `on_commit`, which forgets what is rolled back.
    3. A test that is itself wrapped in a transaction never commits. There the caller's outermost transaction
       is a savepoint, and its release is what production's commit would be: `watching` sees it.
    """

    def __init__(self, using: str) -> None:
        self._using = using

    def call(self, function: Callable[[], None]) -> None:
        """Call `function` after the commit, or never after a rollback."""
        if self._in_transaction():
            transaction.on_commit(_Once(function), using=self._using)
        else:
            function()

    def watching(self) -> AbstractContextManager[None]:
        """See commits inside a test's transaction for the length of a block."""
        return transaction.get_connection(self._using).execute_wrapper(self._see)

    def catch_up(self) -> None:
        """Call what waits though its transaction is over."""
        if self._in_transaction():
            return
        for _, function, _ in list(transaction.get_connection(self._using).run_on_commit):
            if isinstance(function, _Once):
                function()

    def _see(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("RELEASE SAVEPOINT"):
            try:
                self.catch_up()
            except DatabaseError:
                # Django will take this for a failed release and roll back to the savepoint: to an empty one, then.
                with contextlib.suppress(DatabaseError):
                    execute(sql.removeprefix("RELEASE "), params, many, context)
                raise
        return result

    def _in_transaction(self) -> bool:
        """Whether there is a transaction that is not the test's own wrapping."""
        return outbox.is_in_transaction(connections[self._using])


class _Once:
    """A function that only its first caller calls: Django at the commit, or we at a savepoint's release."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
