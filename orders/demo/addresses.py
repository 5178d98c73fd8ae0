"""Where the demo's parts listen. Loopback only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .ports import HOST, free_port, requested_port

WEB_PORT = 8000
_PAYMENTS_PORT = 8101
_WAREHOUSE_PORT = 8102
_MAILBOX_PORT = 8103
_LISTS_PORT = 8104
_SMTP_PORT = 2525


@dataclass(frozen=True)
class Addresses:
    """A port for each part."""

    web: int
    payments: int
    warehouse: int
    lists: int
    mailbox: int
    smtp: int
    web_was_asked_for: bool = False

    @property
    def shop_url(self) -> str:
        return _url(self.web)

    def settings(self) -> dict[str, str]:
        """What tells the parts where the others are, by the names that the settings read."""
        return {
            "SITE_URL": self.shop_url,
            "PAYMENTS_URL": _url(self.payments),
            "WAREHOUSE_URL": _url(self.warehouse),
            "LISTS_URL": _url(self.lists),
            "MAILBOX_URL": _url(self.mailbox),
            "EMAIL_URL": f"smtp://{HOST}:{self.smtp}",
        }

    def tell(self, path: Path, **others: str) -> None:
        """Write them into a file for the commands that are typed beside the demo, and `others` by their settings."""
        path.write_text(json.dumps({**self.settings(), **others}))

    @contextmanager
    def told_in(self, path: Path) -> Iterator[None]:
        """Keep them in the file while the demo runs."""
        self.tell(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def find_addresses(web_port: int | None) -> Addresses:
    """`web_port` for the shop, or 8000 or the next free one; the usual port or a later one for the others."""
    web = free_port(WEB_PORT) if web_port is None else requested_port(web_port)
    others: list[int] = []
    for port in (_PAYMENTS_PORT, _WAREHOUSE_PORT, _LISTS_PORT, _MAILBOX_PORT, _SMTP_PORT):
        others.append(free_port(port, taken=[web, *others]))
    payments, warehouse, lists, mailbox, smtp = others
    return Addresses(web, payments, warehouse, lists, mailbox, smtp, web_was_asked_for=web_port is not None)


def _url(port: int) -> str:
    return f"http://{HOST}:{port}"
