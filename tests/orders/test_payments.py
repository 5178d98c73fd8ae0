"""The gateway's client against the gateway of the demo, over real HTTP."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orders import payments
from orders.partners.gateway import Gateway


def pay(key: str = "order-17-1", **changes: Any) -> payments.Charge:
    wish: dict[str, Any] = {"reference": "order-17", "amount_cents": 1999, "card": "tok_visa", **changes}
    return payments.charge(**wish, idempotency_key=key)


@pytest.fixture
def impatient(settings: Any) -> None:
    settings.PARTNER_CONNECT_TIMEOUT = settings.PARTNER_READ_TIMEOUT = 0.2


def test_a_charge_says_what_was_charged(gateway: Gateway) -> None:
    charge = pay()
    assert (charge.amount_cents, charge.reference) == (1999, "order-17")
    assert [entry["id"] for entry in gateway.ledger()] == [charge.id]


def test_the_same_key_charges_once(gateway: Gateway) -> None:
    assert pay() == pay()
    assert len(gateway.ledger()) == 1


def test_one_key_in_many_threads_charges_once(gateway: Gateway) -> None:
    with ThreadPoolExecutor(8) as threads:
        charges = list(threads.map(lambda _: pay(), range(24)))
    assert len(set(charges)) == 1
    assert len(gateway.ledger()) == 1


def test_another_amount_under_the_same_key_is_refused(gateway: Gateway) -> None:
    pay()
    with pytest.raises(payments.KeyReused, match="order-17-1"):
        pay(amount_cents=2000)


@pytest.mark.parametrize(
    ("card", "reason"), [("tok_declined", "do_not_honour"), ("tok_insufficient_funds", "insufficient_funds")]
)
def test_a_declined_card_says_why(gateway: Gateway, card: str, reason: str) -> None:
    with pytest.raises(payments.CardDeclined, match=reason) as refused:
        pay(card=card)
    assert refused.value.reason == reason
    assert gateway.ledger() == []


def test_a_gateway_that_declines_leaves_the_key_free(gateway: Gateway) -> None:
    gateway.set_mode("decline", times=1)
    with pytest.raises(payments.CardDeclined):
        pay()
    assert pay().reference == "order-17"


def test_a_charge_made_before_is_found_again_while_cards_are_declined(gateway: Gateway) -> None:
    made = pay()
    gateway.set_mode("decline")
    assert pay() == made


def test_a_rate_limit_says_how_long_to_wait(gateway: Gateway) -> None:
    gateway.set_mode("rate_limit", seconds=7)
    with pytest.raises(payments.RateLimited, match="7 s") as refused:
        pay()
    assert refused.value.retry_after == 7.0


def test_a_broken_gateway_is_unavailable(gateway: Gateway) -> None:
    gateway.set_mode("error")
    with pytest.raises(payments.GatewayUnavailable, match="500"):
        pay()


def test_a_gateway_that_is_not_there_is_unavailable(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PAYMENTS_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(payments.GatewayUnavailable, match="did not answer"):
        pay()
    with pytest.raises(payments.GatewayUnavailable):
        payments.find_charge("order-17")


@pytest.mark.usefixtures("impatient")
def test_a_time_out_before_the_work_charges_nothing(gateway: Gateway) -> None:
    gateway.set_mode("timeout_before", times=1)
    with pytest.raises(payments.GatewayUnavailable, match="ReadTimeout"):
        pay()
    assert gateway.ledger() == []


@pytest.mark.usefixtures("impatient")
def test_a_time_out_after_the_work_is_settled_by_the_same_key(gateway: Gateway) -> None:
    gateway.set_mode("timeout_after", times=1)
    with pytest.raises(payments.GatewayUnavailable, match="ReadTimeout"):
        pay()
    (charged,) = gateway.ledger()
    assert pay().id == charged["id"]


def test_a_connection_dropped_after_the_work_is_settled_by_the_same_key(gateway: Gateway) -> None:
    gateway.set_mode("timeout_after", times=1, seconds=0)
    with pytest.raises(payments.GatewayUnavailable, match="Protocol"):
        pay()
    (charged,) = gateway.ledger()
    assert pay().id == charged["id"]


def test_a_slow_gateway_charges_in_the_end(gateway: Gateway) -> None:
    gateway.set_mode("slow", seconds=0.1)
    assert pay().amount_cents == 1999


@pytest.mark.parametrize("changes", [{"amount_cents": 0}, {"card": " "}, {"reference": ""}])
def test_a_request_that_makes_no_sense_is_refused_for_good(gateway: Gateway, changes: dict[str, Any]) -> None:
    with pytest.raises(payments.ChargeRefused):
        pay(**changes)


def test_the_card_is_in_no_error(gateway: Gateway) -> None:
    gateway.set_mode("error")
    with pytest.raises(payments.PaymentsError) as refused:
        pay(card="tok_secret")
    assert "tok_secret" not in str(refused.value)


def test_a_charge_is_found_by_its_reference(gateway: Gateway) -> None:
    charge = pay()
    pay("order-18-1", reference="order-18 & co")
    assert payments.find_charge("order-17") == charge
    assert payments.find_charge("order-18 & co") is not None
    assert payments.find_charge("order-1") is None


def test_after_the_keys_life_the_first_charge_can_still_be_found(gateway: Gateway) -> None:
    first = pay()
    gateway.forget_keys()
    assert payments.find_charge("order-17") == first
    assert pay() != first


@pytest.fixture
def babbler(settings: Any) -> Iterator[None]:
    """A port at which something answers 200 with a page."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
        settings.PAYMENTS_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
        threads.submit(_answer_with_a_page, server)
        yield


def _answer_with_a_page(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<p>!")


@pytest.mark.usefixtures("babbler")
def test_an_answer_that_is_no_charge_leaves_the_outcome_unknown() -> None:
    with pytest.raises(payments.GatewayUnavailable, match="not a charge"):
        pay()
