"""Waits for work without taking it and without asking again and again.

`BLMOVE` of a list's head onto itself answers as soon as the list has an element, whoever pushed it, and
leaves the list as it was. It takes one queue, so each queue has a connection with one such call under way;
a selector waits for the first answer, and for `wake`, which threads and signal handlers call.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Sequence, Set
from typing import Any

import redis

from jobs import registry
from jobs.broker import keys
from jobs.broker.connection import connect, errors_named

# The server ends a wait after this long, so that a connection which died unnoticed is found out.
_SERVER_WAIT_SECONDS = 30.0
_REST_SECONDS = 1.0


class Waiting:
    """Waits on some queues, and on their lanes where any job here is limited. Not shared between threads, but for
    `wake`."""

    def __init__(self, queues: Sequence[str]) -> None:
        kinds = (keys.queue, keys.bell) if registry.limit_numbers() else (keys.queue,)
        self._keys = {kind(name): name for name in queues for kind in kinds}
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, None)
        self._under_way: dict[str, Any] = {}
        self._idle: list[Any] = []
        self._resting: dict[str, float] = {}
        self._pool = connect(read_timeout=_SERVER_WAIT_SECONDS + 5).connection_pool

    def wake(self) -> None:
        """End the wait that is under way, or the next one. May be called from any thread or signal handler."""
        # A full buffer means that a wake is waiting already.
        with contextlib.suppress(BlockingIOError):
            self._wake_in.send(b"\0")

    def wait(self, seconds: float, *, for_work: bool, but: Set[str] = frozenset()) -> None:
        """Return when a queue has work (if `for_work`), at `wake`, or after `seconds`.

        Nobody is asked for the queues `but` these: a paused one with work would answer again and again.

        Raises `BrokerUnavailable` when a connection fails.
        """
        if for_work:
            with errors_named():
                self._ask(but)
        for ready, _ in self._selector.select(seconds):
            if ready.data is None:
                self._drain()
            else:
                with errors_named():
                    self._answered(ready.data)

    def close(self) -> None:
        """Let go of everything."""
        self._forget_all()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        self._pool.disconnect()

    def _ask(self, but: Set[str]) -> None:
        now = time.monotonic()
        for key, queue in self._keys.items():
            if queue not in but and key not in self._under_way and self._resting.get(key, 0.0) <= now:
                try:
                    self._send(key)
                except (redis.ConnectionError, redis.TimeoutError):
                    self._forget_all()
                    raise

    def _send(self, key: str) -> None:
        connection = self._idle.pop() if self._idle else self._pool.make_connection()
        connection.connect()
        connection.send_command("BLMOVE", key, key, "LEFT", "LEFT", _SERVER_WAIT_SECONDS)
        self._selector.register(connection._sock, selectors.EVENT_READ, key)
        self._under_way[key] = connection

    def _answered(self, key: str) -> None:
        connection = self._under_way.pop(key)
        self._selector.unregister(connection._sock)
        try:
            connection.read_response()
        except (redis.ConnectionError, redis.TimeoutError):
            connection.disconnect()
            self._forget_all()
            raise
        except redis.ResponseError:
            # A server that has just become a replica refuses, and so does a key that is no list: not at once again.
            self._resting[key] = time.monotonic() + _REST_SECONDS
        self._idle.append(connection)

    def _forget_all(self) -> None:
        for connection in self._under_way.values():
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection._sock)
            connection.disconnect()
        for connection in self._idle:
            connection.disconnect()
        self._under_way.clear()
        self._idle.clear()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_out.recv(4096):
                pass
