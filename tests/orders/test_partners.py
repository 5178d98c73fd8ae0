"""The partners' doors, modes and ledgers, over real HTTP."""

import json
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orders.calling import Answer, NoAnswer, call
from orders.partners.door import PortTaken
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from orders.partners.modes import BadMode
from orders.partners.warehouse import Warehouse

CHARGE = {"amount": 1999, "currency": "EUR", "card": "tok_visa", "reference": "order-17"}
SHIPMENT = {
    "reference": "order-17",
    "address": {"name": "Ada", "street": "Square 12", "postcode": "10115", "city": "Berlin", "country": "DE"},
    "lines": [{"sku": "MUG-1", "quantity": 2}],
}


def charge(gateway: Gateway, key: str | None = "k1", **changes: Any) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    return call("POST", f"{gateway.url}/charges", body=CHARGE | changes, headers=headers)


def put_mode(gateway: Gateway, **mode: Any) -> Answer:
    return call("PUT", f"{gateway.url}/mode", body=mode)


def test_a_charge_is_answered_as_the_contract_says(gateway: Gateway) -> None:
    answer = charge(gateway)
    assert answer.status == 201
    assert answer.body.items() >= {"status": "succeeded", "amount": 1999, "reference": "order-17"}.items()
    assert answer.body["id"].startswith("ch_")
    assert "card" not in answer.body


def test_a_replay_is_marked_and_the_same(gateway: Gateway) -> None:
    first, second = charge(gateway), charge(gateway)
    assert (second.status, second.headers["Idempotent-Replayed"]) == (200, "true")
    assert second.body == first.body


def test_two_requests_with_one_key_at_once_make_one_charge(gateway: Gateway) -> None:
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: charge(gateway), range(48)))
    assert sorted(answer.status for answer in answers) == [200] * 47 + [201]
    assert len(gateway.ledger()) == 1


def test_two_gateways_on_one_folder_share_their_keys(gateway: Gateway, tmp_path: Path) -> None:
    with Gateway(tmp_path / "partners") as other, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: charge((gateway, other)[n % 2]), range(48)))
        assert sorted(answer.status for answer in answers) == [200] * 47 + [201]
        assert gateway.ledger() == other.ledger()


def test_another_body_under_a_used_key_is_a_conflict(gateway: Gateway) -> None:
    charge(gateway)
    answer = charge(gateway, amount=1)
    assert (answer.status, answer.body) == (409, {"error": "idempotency_key_reused"})


def test_a_key_that_outlived_its_life_charges_again(tmp_path: Path) -> None:
    with Gateway(tmp_path, key_life_seconds=0) as gateway:
        assert [charge(gateway).status, charge(gateway).status] == [201, 201]
        assert len(gateway.ledger()) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "1999"},
        {"amount": True},
        {"amount": -1},
        {"currency": "USD"},
        {"card": None},
        {"reference": 17},
    ],
)
def test_a_malformed_charge_is_invalid(gateway: Gateway, changes: dict[str, Any]) -> None:
    answer = charge(gateway, **changes)
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


def test_a_charge_without_a_key_is_invalid(gateway: Gateway) -> None:
    assert "Idempotency-Key" in charge(gateway, key=None).body["message"]


def test_charges_can_be_looked_up(gateway: Gateway) -> None:
    made = charge(gateway).body
    other = charge(gateway, "k2", reference="order-18").body
    assert call("GET", f"{gateway.url}/charges?reference=order-17").body == {"charges": [made]}
    assert call("GET", f"{gateway.url}/charges/{made['id']}").body == made
    assert call("GET", f"{gateway.url}/charges/ch_nothing").status == 404
    assert call("GET", f"{gateway.url}/ledger").body == {"count": 2, "charges": [other, made]}
    assert call("GET", f"{gateway.url}/ledger?limit=1").body == {"count": 2, "charges": [other]}


def test_the_ledger_and_its_keys_are_kept_over_a_restart(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        first = charge(gateway)
    with Gateway(tmp_path) as gateway:
        assert charge(gateway).body == first.body
        assert gateway.ledger() == [first.body]


def test_a_partner_starts_healthy(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        gateway.set_mode("error")
    with Gateway(tmp_path) as gateway:
        assert charge(gateway).status == 201


def test_a_mode_lasts_for_so_many_requests(gateway: Gateway) -> None:
    put_mode(gateway, mode="error", times=2)
    assert [charge(gateway).status for _ in range(3)] == [500, 500, 201]
    assert call("GET", f"{gateway.url}/mode").body["counts"] == {"500": 2, "201": 1}


def test_a_mode_lasts_until_told_otherwise(gateway: Gateway) -> None:
    put_mode(gateway, mode="rate_limit", seconds=1.2)
    answers = [charge(gateway) for _ in range(3)]
    assert [(answer.status, answer.headers["Retry-After"]) for answer in answers] == [(429, "2")] * 3
    put_mode(gateway, mode="ok")
    assert charge(gateway).status == 201


def test_looking_up_is_possible_while_the_partner_is_broken(gateway: Gateway) -> None:
    charge(gateway)
    put_mode(gateway, mode="timeout_before")
    assert len(call("GET", f"{gateway.url}/charges?reference=order-17").body["charges"]) == 1


@pytest.mark.parametrize(
    ("mode", "hint"),
    [
        ({"mode": "eror"}, "Did you mean 'error'?"),
        ({}, "Choose one of"),
        ({"mode": "slow", "seconds": -1}, "seconds"),
        ({"mode": "slow", "seconds": "soon"}, "seconds"),
        ({"mode": "error", "times": 0}, "times"),
        ({"mode": "error", "times": 1.5}, "times"),
    ],
)
def test_a_mode_that_makes_no_sense_is_refused(gateway: Gateway, mode: dict[str, Any], hint: str) -> None:
    answer = put_mode(gateway, **mode)
    assert answer.status == 400
    assert hint in answer.body["message"]
    assert gateway.mode.name == "ok"


def test_a_warehouse_declines_no_cards(warehouse_partner: Warehouse) -> None:
    with pytest.raises(BadMode):
        warehouse_partner.set_mode("decline")


def test_a_shipment_is_answered_as_the_contract_says(warehouse_partner: Warehouse) -> None:
    url, headers = f"{warehouse_partner.url}/shipments", {"Idempotency-Key": "k"}
    answer = call("POST", url, body=SHIPMENT, headers=headers)
    assert (answer.status, answer.body["status"]) == (201, "accepted")
    assert call("POST", url, body=SHIPMENT, headers=headers).status == 200
    assert call("GET", f"{url}?reference=order-17").body["shipments"] == [answer.body]
    refused = call("POST", url, body=SHIPMENT | {"address": {}}, headers=headers)
    assert (refused.status, refused.body["error"]) == (422, "invalid_address")
    assert call("POST", url, body=SHIPMENT | {"lines": []}, headers=headers).status == 400


def test_the_caller_who_gives_up_is_noticed(gateway: Gateway, settings: Any) -> None:
    settings.PARTNER_READ_TIMEOUT = 0.1
    gateway.set_mode("timeout_before")
    with pytest.raises(NoAnswer):
        charge(gateway)
    begun = time.monotonic()
    gateway.stop()
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("mode", ["timeout_before", "slow"])
def test_a_partner_stops_within_a_second_though_a_caller_is_held(gateway: Gateway, mode: str) -> None:
    gateway.set_mode(mode, seconds=30)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(charge, gateway)
        _until_taken(gateway)
        begun = time.monotonic()
        gateway.stop()
        assert time.monotonic() - begun < 1
        held.exception(timeout=1)


def test_every_partner_says_that_it_is_there(gateway: Gateway, warehouse_partner: Warehouse, mailbox: Mailbox) -> None:
    for partner in (gateway, warehouse_partner, mailbox):
        answer = call("GET", f"{partner.url}/healthz")
        assert answer.body == {"status": "ok", "partner": partner.name}


def test_a_taken_port_is_named(gateway: Gateway, tmp_path: Path) -> None:
    port = int(gateway.url.rpartition(":")[2])
    with pytest.raises(PortTaken, match=f"Port {port} "):
        Gateway(tmp_path, port=port)


@pytest.mark.parametrize(
    "lines",
    [
        b"POST /charges HTTP/1.1\r\nContent-Length: 9\r\n\r\nnot json!",
        b"POST /charges HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
        b"POST /charges HTTP/1.1\r\nContent-Length: -2\r\n\r\n",
        b"POST /charges HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n",
        b"POST /charges HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_body_that_cannot_be_read_is_invalid(gateway: Gateway, lines: bytes) -> None:
    status, body = _send_raw(gateway, lines)
    assert (status, json.loads(body)["error"]) == (b"400", "invalid_request")


def test_an_unknown_path_is_not_found(gateway: Gateway) -> None:
    assert call("GET", f"{gateway.url}/").status == 404
    assert call("DELETE", f"{gateway.url}/charges").status == 404


def test_the_ledger_is_written_ahead(gateway: Gateway, tmp_path: Path) -> None:
    charge(gateway)
    database = sqlite3.connect(tmp_path / "partners" / "payments.sqlite3")
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def _until_taken(gateway: Gateway) -> None:
    deadline = time.monotonic() + 5
    while not (gateway.counts() or gateway.ledger()):
        assert time.monotonic() < deadline, "The request never arrived."
        time.sleep(0.01)


def _send_raw(gateway: Gateway, lines: bytes) -> tuple[bytes, bytes]:
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(lines)
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    return head.split()[1], body
