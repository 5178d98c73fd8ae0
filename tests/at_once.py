"""Calls made at once, each with a connection of its own, as workers make them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

Errors = type[Exception] | tuple[type[Exception], ...]


def at_once(function: Callable[[Any], Any], arguments: Iterable[Any], *, refusals: Errors = ()) -> list[Any]:
    """What each call gave, or which of the `refusals` it raised, in the order of the arguments. All begin together."""
    each = list(arguments)
    gate = threading.Barrier(len(each))

    def call(argument: Any) -> Any:
        try:
            gate.wait(timeout=60)
            return function(argument)
        except refusals as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(each)) as threads:
        return list(threads.map(call, each))


@contextmanager
def while_another_transaction(acts: Callable[[], object]) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Another connection acts in a transaction and keeps it open. Yields `wait_for(call)`: that the call waits for the
    other's commit is asserted, and what it gave is returned."""
    acted, may_commit = threading.Event(), threading.Event()

    def other() -> None:
        try:
            with transaction.atomic():
                acts()
                acted.set()
                may_commit.wait(10)
        finally:
            connection.close()

    def closing(call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connection.close()

    def wait_for(call: Callable[[], Any]) -> Any:
        begun: Future[Any] = threads.submit(closing, call)
        assert not _ended(begun, seconds=0.2), "it did not wait for the other transaction"
        may_commit.set()
        return begun.result(20)

    with ThreadPoolExecutor(2) as threads:
        ended = threads.submit(other)
        try:
            assert acted.wait(10)
            yield wait_for
        finally:
            may_commit.set()
        ended.result(20)


def _ended(call: Future[Any], *, seconds: float) -> bool:
    try:
        call.result(seconds)
    except TimeoutError:
        return False
    return True
