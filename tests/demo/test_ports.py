"""Ports: the one asked for or a clear message, else the next that is free."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orders.demo.addresses import find_addresses
from orders.demo.banner import banner
from orders.demo.ports import HOST, free_port, is_free, requested_port


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_is_listened_on_is_not_free(busy_port: int) -> None:
    assert not is_free(busy_port)


def test_a_requested_port_in_use_is_refused_with_the_cure(busy_port: int) -> None:
    with pytest.raises(CommandError, match=f"Port {busy_port} is in use.*make run PORT=") as refusal:
        requested_port(busy_port)
    assert refusal.value.returncode == 2


def test_the_command_refuses_a_port_in_use_before_it_starts_anything(busy_port: int) -> None:
    with pytest.raises(CommandError, match=f"Port {busy_port} is in use"):
        call_command("demo", port=busy_port)


def test_a_usual_port_in_use_gives_way_to_the_next_free_one(busy_port: int) -> None:
    assert free_port(busy_port) > busy_port


def test_a_taken_port_is_passed_over_although_it_is_free() -> None:
    port = free_port(20_000)
    assert free_port(port, taken=[port]) > port


def test_when_all_neighbours_are_in_use_the_message_says_so(busy_port: int) -> None:
    with pytest.raises(CommandError, match="all in use"):
        free_port(busy_port, taken=range(busy_port, busy_port + 100))


def test_no_two_parts_get_the_same_port() -> None:
    addresses = find_addresses(free_port(8101))
    ports = [addresses.web, addresses.payments, addresses.warehouse, addresses.lists, addresses.mailbox]
    ports += [addresses.smtp]
    assert len(set(ports)) == len(ports)


def test_the_banner_says_that_a_port_was_in_use_only_where_nobody_chose_one(tmp_path: Path) -> None:
    chosen = find_addresses(free_port(8200))
    assert "was in use" not in banner(chosen, tmp_path, new_passwords=())
    moved = dataclasses.replace(chosen, web_was_asked_for=False)
    assert "Port 8000 was in use." in banner(moved, tmp_path, new_passwords=())


def test_each_part_is_told_where_the_others_are() -> None:
    addresses = find_addresses(None)
    assert addresses.settings() == {
        "SITE_URL": f"http://127.0.0.1:{addresses.web}",
        "PAYMENTS_URL": f"http://127.0.0.1:{addresses.payments}",
        "WAREHOUSE_URL": f"http://127.0.0.1:{addresses.warehouse}",
        "LISTS_URL": f"http://127.0.0.1:{addresses.lists}",
        "MAILBOX_URL": f"http://127.0.0.1:{addresses.mailbox}",
        "EMAIL_URL": f"smtp://127.0.0.1:{addresses.smtp}",
    }
