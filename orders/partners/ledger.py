"""What a partner has done, and under which idempotency key, in SQLite. Decides nothing about the work."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, reference TEXT NOT NULL,
    idempotency_key TEXT NOT NULL, made_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entries_by_reference ON entries (reference);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, entry_id TEXT NOT NULL, used_at REAL NOT NULL);
"""


class KeyReused(Exception):
    """The key stands for another request."""


@dataclass(frozen=True)
class Recorded:
    entry: Entry
    replayed: bool


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """A connection for several threads that take turns; every statement commits by itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {schema}")
    return database


class Ledger:
    """Entries in the order they were made, kept over restarts.

    A key is remembered for `key_life_seconds`; after that the same request makes a second entry, as with
    real partners, and the one who asks has to look up first.
    """

    def __init__(self, path: Path, *, key_life_seconds: float) -> None:
        self.key_life_seconds = key_life_seconds
        self._database = open_database(path, SCHEMA)
        self._lock = threading.Lock()

    def record(self, *, key: str, fingerprint: str, make: Callable[[], Entry]) -> Recorded:
        """The entry that `make` gave for this key, now or the first time. Refused with `KeyReused`.

        What `make` raises leaves neither entry nor key.
        """
        with self._writing() as database:
            if known := self._known(database, key):
                entry, first_fingerprint = known
                if first_fingerprint != fingerprint:
                    raise KeyReused(key)
                return Recorded(entry, replayed=True)
            return Recorded(self._add(database, make(), key, fingerprint), replayed=False)

    def entries(self, *, reference: str | None = None, limit: int | None = None) -> list[Entry]:
        """Newest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT body FROM entries WHERE :reference IS NULL OR reference = :reference "
                "ORDER BY position DESC LIMIT :most",
                {"reference": reference, "most": -1 if limit is None else limit},
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def entry(self, entry_id: str) -> Entry | None:
        with self._lock:
            row = self._database.execute("SELECT body FROM entries WHERE id = ?", (entry_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def count(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM entries").fetchone()[0])

    def forget_keys(self) -> None:
        """As if the life of every key had passed."""
        with self._writing() as database:
            database.execute("DELETE FROM keys")

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _known(self, database: sqlite3.Connection, key: str) -> tuple[Entry, str] | None:
        database.execute("DELETE FROM keys WHERE used_at <= ?", (time.time() - self.key_life_seconds,))
        row = database.execute(
            "SELECT body, fingerprint FROM keys JOIN entries ON entries.id = entry_id WHERE key = ?", (key,)
        ).fetchone()
        return (json.loads(row[0]), row[1]) if row else None

    def _add(self, database: sqlite3.Connection, made: Entry, key: str, fingerprint: str) -> Entry:
        made_at = datetime.now(UTC).isoformat()
        entry = {**made, "idempotency_key": key, "made_at": made_at}
        database.execute(
            "INSERT INTO entries (id, reference, idempotency_key, made_at, body) VALUES (?, ?, ?, ?, ?)",
            (entry["id"], entry["reference"], key, made_at, json.dumps(entry)),
        )
        database.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (key, fingerprint, entry["id"], time.time()))
        return entry
