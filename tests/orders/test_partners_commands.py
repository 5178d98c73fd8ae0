"""The commands that run the partners and tell them what to do, as processes of their own."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from orders.calling import call
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from orders.partners.warehouse import Warehouse


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process of `manage.py partners …` and the first line it printed."""
    command = [sys.executable, "manage.py", "partners", *arguments]
    process = subprocess.Popen(command, cwd=django_settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def partner(*arguments: str) -> str:
    out = StringIO()
    call_command("partner", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("name", ["payments", "warehouse", "lists", "mailbox"])
def test_a_partner_runs_until_it_is_told_to_stop(name: str, tmp_path: Path) -> None:
    options = [name, "--port", "0", "--smtp-port", "0", "--folder", str(tmp_path)]
    with running(*options) as (process, line):
        said_name, url = line.split(" answers at ")
        assert said_name == name
        assert call("GET", f"{url.split()[0]}/healthz").status == 200
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert time.monotonic() - begun < 3
    assert list(tmp_path.glob("*.sqlite3"))


def test_a_taken_port_is_a_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(CommandError, match="listens there"):
        call_command("partners", "payments", "--port", str(server.getsockname()[1]), "--folder", str(tmp_path))


def test_a_partner_is_broken_and_healed_by_command(gateway: Gateway) -> None:
    said = partner("payments", "--mode", "timeout_after", "--times", "2", "--seconds", "5")
    assert "mode: timeout_after, 5 s, for 2 more requests" in said
    assert gateway.mode.as_dict() == {"mode": "timeout_after", "seconds": 5.0, "times": 2}
    assert "mode: ok\n" in partner("payments", "--mode", "ok")


def test_the_command_shows_what_a_partner_did(gateway: Gateway, warehouse_partner: Warehouse, mailbox: Mailbox) -> None:
    wish = {"amount": 1, "currency": "EUR", "card": "tok_declined", "reference": "order-1"}
    call("POST", f"{gateway.url}/charges", body=wish, headers={"Idempotency-Key": "a"})
    call(
        "POST",
        f"{gateway.url}/charges",
        body=wish | {"card": "tok_visa"},
        headers={"Idempotency-Key": "b"},
    )
    assert "charges: 1\nrequests since it started: 201: 1, 402: 1\n" in partner("payments")
    assert "shipments: 0\nrequests since it started: none\n" in partner("warehouse")
    assert "messages: 0" in partner("mailbox")


def test_a_partner_that_is_away_is_a_clear_message(gateway: Gateway) -> None:
    gateway.stop()
    with pytest.raises(CommandError, match="Start it with"):
        partner("payments")


def test_something_else_at_the_address_is_not_taken_for_a_partner(gateway: Gateway, settings: Any) -> None:
    settings.MAILBOX_URL = gateway.url
    with pytest.raises(CommandError, match="Mailbox does not answer"):
        partner("mailbox")


def test_a_mode_the_partner_does_not_know_is_refused(warehouse_partner: Warehouse) -> None:
    with pytest.raises(CommandError, match="no mode 'decline'"):
        partner("warehouse", "--mode", "decline")


def test_times_without_a_mode_is_a_misuse(gateway: Gateway) -> None:
    with pytest.raises(CommandError, match="Add --mode"):
        partner("payments", "--times", "2")
