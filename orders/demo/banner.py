"""What the launcher prints once the shop answers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from django.urls import reverse

from .accounts import USERNAMES, password_path
from .addresses import WEB_PORT, Addresses

_PAGES = (
    ("Shop", "product_list"),
    ("Office", "staff_office"),
    ("Partners", "staff_partners"),
    ("Mailbox", "staff_mailbox"),
    ("Admin", "admin:index"),
)


def banner(addresses: Addresses, folder: Path, *, new_passwords: Collection[Path]) -> str:
    """The addresses, and the logins. A password is shown once, in the run that made it."""
    pages = [f"  {title:<10}{addresses.shop_url}{reverse(name)}" for title, name in _PAGES]
    logins = [f"  {'':<10}{_login(password_path(folder, name), name, new_passwords)}" for name in USERNAMES]
    lines = ["", "  Jobsite is running. Stop it with Ctrl-C; what it stores is kept.", "", *pages, *logins, ""]
    if addresses.web != WEB_PORT and not addresses.web_was_asked_for:
        lines.insert(2, f"  Port {WEB_PORT} was in use.")
    return "\n".join(lines)


def _login(path: Path, username: str, new_passwords: Collection[Path]) -> str:
    if path in new_passwords:
        return f"{username} / {path.read_text().strip()} (kept in {path})"
    if path.exists():
        return f"{username}, password in {path}"
    return f"{username}, with the password you gave it"
