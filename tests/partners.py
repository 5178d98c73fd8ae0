"""Fixtures that run the demo's partners for one test, on free ports and in threads of this process.

A conftest imports the names it wants. A worker in a process of its own is told where they are by
`PAYMENTS_URL=gateway.url`, `WAREHOUSE_URL=warehouse_partner.url`,
`LISTS_URL=list_provider.url` and `EMAIL_URL=mailbox.smtp_url`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobsite.mail import mail_settings
from orders.partners.gateway import Gateway
from orders.partners.lists import Lists
from orders.partners.mailbox import Mailbox
from orders.partners.warehouse import Warehouse


@pytest.fixture
def gateway(tmp_path: Path, settings: Any) -> Iterator[Gateway]:
    """A payment gateway that `orders.payments` talks to: `.set_mode(...)`, `.ledger()`, `.forget_keys()`."""
    with Gateway(tmp_path / "partners") as running:
        settings.PAYMENTS_URL = running.url
        yield running


@pytest.fixture
def warehouse_partner(tmp_path: Path, settings: Any) -> Iterator[Warehouse]:
    """A warehouse that `orders.warehouse` talks to: `.set_mode(...)`, `.ledger()`, `.forget_keys()`."""
    with Warehouse(tmp_path / "partners") as running:
        settings.WAREHOUSE_URL = running.url
        yield running


@pytest.fixture
def list_provider(tmp_path: Path, settings: Any) -> Iterator[Lists]:
    """A list provider that `orders.lists` talks to: `.set_mode(...)`, `.ledger()`."""
    with Lists(tmp_path / "partners") as running:
        settings.LISTS_URL = running.url
        yield running


@pytest.fixture
def mailbox(tmp_path: Path, settings: Any) -> Iterator[Mailbox]:
    """A mailbox that Django's mails really go to, by SMTP: `.set_mode(...)`, `.messages()`, `.clear()`."""
    with Mailbox(tmp_path / "partners") as running:
        for name, value in mail_settings(running.smtp_url).items():
            setattr(settings, name, value)
        settings.MAILBOX_URL = running.url
        yield running
