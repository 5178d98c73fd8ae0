"""The mailbox: every mail the shop sends arrives here and can be read over HTTP. Delivers nothing further."""

import json
import sqlite3
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .door import Answer, Request, Routes
from .ledger import open_database
from .letters import read_letter
from .modes import MAILBOX_MODES, Mode
from .service import Service
from .smtp import Received, SmtpDoor

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, raw BLOB NOT NULL);
"""


class Mailbox(Service):
    """Two doors: mail comes in at `smtp_port`, and is read at `url`."""

    name = "mailbox"
    modes = MAILBOX_MODES

    def __init__(self, folder: Path, *, port: int = 0, smtp_port: int = 0) -> None:
        super().__init__(port=port)
        self._shelf = Shelf(folder / "mailbox.sqlite3")
        self._smtp = SmtpDoor(port=smtp_port, take_mode=self._take_mode, receive=self._shelf.add)
        self.smtp_port = self._smtp.port
        self.smtp_url = f"smtp://127.0.0.1:{self.smtp_port}"

    @property
    def addresses(self) -> str:
        return f"{super().addresses} and takes mail at {self.smtp_url}"

    def start(self) -> None:
        super().start()
        self._smtp.open()

    def stop(self) -> None:
        self._smtp.close()
        super().stop()
        self._shelf.close()

    def messages(self) -> list[dict[str, Any]]:
        """Every mail that arrived, newest first: `id from to subject received_at text html`."""
        return self._shelf.messages()

    def clear(self) -> None:
        """Throw every mail away."""
        self._shelf.clear()

    def _take_mode(self) -> Mode:
        mode = self._switch.take()
        self._count("451" if mode.name == "error" else "250")
        return mode

    def _routes(self) -> Routes:
        return {
            **super()._routes(),
            ("GET", "/messages"): self._list,
            ("GET", "/messages/*"): self._show,
            ("DELETE", "/messages"): self._delete,
        }

    def _list(self, request: Request) -> Answer:
        messages = self._shelf.messages(limit=request.limit())
        return Answer(200, {"count": self._shelf.count(), "messages": messages})

    def _show(self, request: Request) -> Answer:
        message = self._shelf.message(request.name)
        return Answer(200, message) if message else Answer(404, {"error": "not_found"})

    def _delete(self, request: Request) -> Answer:
        self._shelf.clear()
        return Answer(200, {"messages": []})


class Shelf:
    """Mails in SQLite, kept over restarts, with the bytes they came as."""

    def __init__(self, path: Path) -> None:
        self._database: sqlite3.Connection = open_database(path, SCHEMA)
        self._lock = threading.Lock()

    def add(self, received: Received) -> None:
        message = _message(received)
        with self._lock:
            self._database.execute(
                "INSERT INTO messages (id, body, raw) VALUES (?, ?, ?)",
                (message["id"], json.dumps(message), received.raw),
            )

    def messages(self, *, limit: int | None = None) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._database.execute(
                "SELECT body FROM messages ORDER BY position DESC LIMIT ?", (-1 if limit is None else limit,)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def message(self, message_id: str) -> dict[str, Any] | None:
        with self._lock:
            row = self._database.execute("SELECT body FROM messages WHERE id = ?", (message_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def count(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM messages").fetchone()[0])

    def clear(self) -> None:
        with self._lock:
            self._database.execute("DELETE FROM messages")

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _message(received: Received) -> dict[str, Any]:
    letter = read_letter(received.raw)
    return {
        "id": uuid.uuid4().hex,
        "from": letter.sender or received.sender,
        "to": received.recipients,
        "subject": letter.subject,
        "received_at": datetime.now(UTC).isoformat(),
        "text": letter.text,
        "html": letter.html,
    }
