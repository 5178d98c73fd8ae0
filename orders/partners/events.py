"""What the gateway tells the shop by itself: signed events, sent until they are taken. Decides nothing."""

import hashlib
import hmac
import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import urllib3

from .ledger import open_database
from .modes import Mode

logger = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payment TEXT NOT NULL, type TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_payment ON events (payment);
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (due);
"""
# As long apart as this, the events of one payment arrive in another order than they happened.
DISORDER_SECONDS = 0.3
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
# About a quarter of an hour.
MOST_TRIES = 20


@dataclass(frozen=True)
class Post:
    """Where events go, and the secret that signs them."""

    url: str
    secret: str


def signature(body: bytes, *, secret: str, at: int) -> str:
    """What the header says beside an event: when it was signed, in seconds, and HMAC-SHA256 of time and body."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class EventBook:
    """Events as they happened, and the deliveries that are not taken yet, in SQLite; kept over restarts."""

    def __init__(self, path: Path) -> None:
        self._database: sqlite3.Connection = open_database(path, SCHEMA)
        self._lock = threading.Lock()

    def add(self, types: list[str], *, payment: str, data: Mapping[str, Any], mode: Mode) -> None:
        """Events of one payment, in the order they happened, to be delivered as the mode says."""
        with self._lock:
            bodies = [self._event(each, payment, data) for each in types]
            for body, due in _deliveries(bodies, mode, time.time()):
                self._database.execute("INSERT INTO deliveries (body, due) VALUES (?, ?)", (body, due))

    def has(self, payment: str, kind: str) -> bool:
        found = "SELECT 1 FROM events WHERE payment = ? AND type = ?"
        with self._lock:
            return self._database.execute(found, (payment, kind)).fetchone() is not None

    def next(self) -> tuple[int, str, int] | None:
        """The delivery that is due longest: its position, body and tries so far."""
        with self._lock:
            row = self._database.execute(
                "SELECT position, body, tries FROM deliveries WHERE due <= ? ORDER BY due, position LIMIT 1",
                (time.time(),),
            ).fetchone()
        return tuple(row) if row else None

    def done(self, position: int) -> None:
        with self._lock:
            self._database.execute("DELETE FROM deliveries WHERE position = ?", (position,))

    def later(self, position: int, seconds: float) -> None:
        with self._lock:
            self._database.execute(
                "UPDATE deliveries SET tries = tries + 1, due = ? WHERE position = ?", (time.time() + seconds, position)
            )

    def waiting(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM deliveries").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _event(self, kind: str, payment: str, data: Mapping[str, Any]) -> str:
        earlier = self._database.execute("SELECT count(*) FROM events WHERE payment = ?", (payment,)).fetchone()[0]
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "type": kind,
            "created_at": datetime.now(UTC).isoformat(),
            "sequence": earlier + 1,
            "data": {"payment": payment, **data},
        }
        body = json.dumps(event)
        self._database.execute(
            "INSERT INTO events (id, payment, type, body) VALUES (?, ?, ?, ?)", (event["id"], payment, kind, body)
        )
        return body


class Postman:
    """1. `open`: delivers what is due, one after the other, in a thread. 2. What is not taken is tried again,
    later each time. 3. `close`: the thread has ended when it returns; what is left is delivered after a restart."""

    def __init__(self, book: EventBook, post: Post, *, count: Callable[[str], object]) -> None:
        self._book = book
        self._post = post
        self._count = count
        self._pool = urllib3.PoolManager()
        self._closing = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._deliver_until_closed, daemon=True)

    def open(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something new is due."""
        self._woken.set()

    def close(self) -> None:
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.clear()

    def _deliver_until_closed(self) -> None:
        while not self._closing.is_set():
            self._woken.clear()
            if due := self._book.next():
                self._deliver(*due)
            else:
                self._woken.wait(0.1)

    def _deliver(self, position: int, body: str, tries: int) -> None:
        if self._is_taken(body.encode()):
            self._count("events taken")
            self._book.done(position)
            return
        self._count("events refused")
        if tries + 1 >= MOST_TRIES:
            logger.error("event given up", extra={"body": body})
            self._book.done(position)
            return
        self._book.later(position, min(FIRST_WAIT_SECONDS * 2**tries, LONGEST_WAIT_SECONDS))

    def _is_taken(self, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json",
            "Gateway-Signature": signature(body, secret=self._post.secret, at=int(time.time())),
        }
        try:
            answer = self._pool.request(
                "POST", self._post.url, body=body, headers=headers, timeout=5, retries=False, redirect=False
            )
        except urllib3.exceptions.HTTPError:
            return False
        return 200 <= answer.status < 300


def _deliveries(bodies: list[str], mode: Mode, now: float) -> list[tuple[str, float]]:
    """Each body with the time at which it is due."""
    if mode.name == "webhook_twice":
        return [(body, now) for body in bodies for _ in range(2)]
    if mode.name == "webhook_disorder":
        return [(body, now + DISORDER_SECONDS * turn) for turn, body in enumerate(reversed(bodies))]
    if mode.name == "webhook_malformed":
        return [(body[: len(body) // 2], now) for body in bodies]
    return [(body, now) for body in bodies]
