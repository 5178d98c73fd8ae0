"""The list provider: keeps who is on the shop's newsletter list, by address. Sends no newsletter."""

import json
import re
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .door import Answer, Request, Routes
from .ledger import Entry, open_database
from .modes import LISTS_MODES, Mode
from .service import HttpService, required_text

SCHEMA = """
CREATE TABLE IF NOT EXISTS members (
    position INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
"""
ADDRESS = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
# Domains that take no mail, as a provider learns them; `.invalid` is reserved for that (RFC 2606).
DEAD_DOMAINS = ("invalid", "bounces.example")


class Lists(HttpService):
    """`POST /members` puts an address on the list: 201 new, 409 there already, 422 no such address.

    `DELETE /members/<address>` takes it off: 200, or 404 when it is not there.
    """

    name = "lists"
    modes = LISTS_MODES
    error_status = 503

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        super().__init__(port=port)
        self._members = Members(folder / f"{self.name}.sqlite3")

    def stop(self) -> None:
        super().stop()
        self._members.close()

    def ledger(self) -> list[Entry]:
        """Who is on the list, the latest first."""
        return self._members.entries()

    def _routes(self) -> Routes:
        return {
            **super()._routes(),
            ("POST", "/members"): self._work,
            ("DELETE", "/members/*"): self._work,
            ("GET", "/members/*"): self._show,
            ("GET", "/ledger"): self._show_ledger,
        }

    def _perform(self, request: Request, mode: Mode) -> Answer:
        if request.method == "DELETE":
            return self._remove(request.name)
        wish = request.json()
        address = required_text(wish, "address").strip()
        if problem := refusal(address):
            return Answer(422, {"error": "invalid_address", "message": problem})
        return self._add(address, str(wish.get("name") or ""))

    def _add(self, address: str, name: str) -> Answer:
        member = {"address": address, "name": name, "made_at": datetime.now(UTC).isoformat()}
        if not self._members.add(member):
            return Answer(409, {"error": "member_exists", "message": f"{address} is on the list already."})
        return Answer(201, member)

    def _remove(self, address: str) -> Answer:
        removed = self._members.remove(address)
        return Answer(200, {"address": address}) if removed else Answer(404, {"error": "not_found"})

    def _show(self, request: Request) -> Answer:
        member = self._members.entry(request.name)
        return Answer(200, member) if member else Answer(404, {"error": "not_found"})

    def _show_ledger(self, request: Request) -> Answer:
        entries = self._members.entries(limit=request.limit())
        return Answer(200, {"count": self._members.count(), "members": entries})


class Members:
    """Who is on the list, in SQLite, each address once whatever its capitals; kept over restarts."""

    def __init__(self, path: Path) -> None:
        self._database: sqlite3.Connection = open_database(path, SCHEMA)
        self._lock = threading.Lock()

    def add(self, member: Entry) -> bool:
        """False when the address is there already."""
        with self._lock:
            added = self._database.execute(
                "INSERT INTO members (address, body) VALUES (?, ?) ON CONFLICT (address) DO NOTHING",
                (_key(member["address"]), json.dumps(member)),
            )
        return added.rowcount == 1

    def remove(self, address: str) -> bool:
        """False when the address is not there."""
        with self._lock:
            removed = self._database.execute("DELETE FROM members WHERE address = ?", (_key(address),))
        return removed.rowcount == 1

    def entry(self, address: str) -> Entry | None:
        with self._lock:
            row = self._database.execute("SELECT body FROM members WHERE address = ?", (_key(address),)).fetchone()
        return json.loads(row[0]) if row else None

    def entries(self, *, limit: int | None = None) -> list[Entry]:
        with self._lock:
            rows = self._database.execute(
                "SELECT body FROM members ORDER BY position DESC LIMIT ?", (-1 if limit is None else limit,)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def count(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM members").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._database.close()


def refusal(address: str) -> str:
    """Why no mail can be sent to this address, in words; empty when it can.

    >>> refusal("ada@example")
    "'ada@example' is not an e-mail address."
    >>> refusal("ada@example.invalid")
    'No mail server takes mail for example.invalid.'
    >>> refusal("ada@example.com")
    ''
    """
    if not ADDRESS.fullmatch(address):
        return f"{address[:60]!r} is not an e-mail address."
    domain = address.rpartition("@")[2].lower()
    if any(domain == dead or domain.endswith(f".{dead}") for dead in DEAD_DOMAINS):
        return f"No mail server takes mail for {domain}."
    return ""


def _key(address: Any) -> str:
    return str(address).strip().lower()
