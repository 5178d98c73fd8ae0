"""`charge_order`, called directly, against the gateway of the demo over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orders import charging, payments
from orders.charging import PaymentNotNeeded
from orders.jobs import charge_order
from orders.models import Order, Payment
from orders.partners.gateway import Gateway
from tests.orders.making import an_order, asked

pytestmark = pytest.mark.django_db


def test_an_order_is_charged_and_marked_paid(gateway: Gateway, order: Order) -> None:
    charge_order(order.pk)
    order.refresh_from_db()
    (charged,) = gateway.ledger()
    assert order.paid_at is not None
    assert (charged["amount"], charged["reference"]) == (order.total_cents, order.reference)
    assert order.payments.get().charge_id == charged["id"]


def test_charging_twice_charges_once(gateway: Gateway, order: Order) -> None:
    charge_order(order.pk)
    charge_order(order.pk)
    assert len(gateway.ledger()) == 1


def test_a_missing_order_is_no_error(gateway: Gateway) -> None:
    charge_order(404)
    assert gateway.ledger() == []


def test_a_declined_card_is_an_answer_and_the_customer_is_told(gateway: Gateway) -> None:
    order = an_order(card="tok_insufficient_funds")
    charge_order(order.pk)
    order.refresh_from_db()
    assert (order.paid_at, order.payment_problem) == (None, "insufficient funds")
    assert asked()[-1] == "send_payment_failed"


def test_a_declined_card_is_never_tried_again(gateway: Gateway) -> None:
    order = an_order(card="tok_declined")
    charge_order(order.pk)
    gateway.set_mode("ok")
    charge_order(order.pk)
    assert gateway.ledger() == []
    assert asked().count("send_payment_failed") == 1


def test_another_card_is_another_payment_with_another_key(gateway: Gateway) -> None:
    order = an_order(card="tok_declined")
    charge_order(order.pk)
    charging.open_payment(order, "tok_visa")
    charge_order(order.pk)
    order.refresh_from_db()
    assert order.paid_at is not None
    assert order.payment_problem == ""
    assert len({payment.idempotency_key for payment in order.payments.all()}) == 2


@pytest.mark.usefixtures("gateway")
def test_another_card_is_refused_while_the_first_may_succeed(order: Order) -> None:
    with pytest.raises(PaymentNotNeeded):
        charging.open_payment(order, "tok_other")


@pytest.mark.usefixtures("impatient")
def test_a_charge_whose_answer_was_lost_is_not_made_twice(gateway: Gateway, order: Order) -> None:
    gateway.set_mode("timeout_after", times=1)
    with pytest.raises(payments.GatewayUnavailable):
        charge_order(order.pk)
    charge_order(order.pk)
    assert len(gateway.ledger()) == 1


@pytest.mark.usefixtures("impatient")
def test_a_charge_whose_key_is_forgotten_is_looked_up_first(gateway: Gateway, order: Order) -> None:
    gateway.set_mode("timeout_after", times=1)
    with pytest.raises(payments.GatewayUnavailable):
        charge_order(order.pk)
    _a_day_passes(gateway)
    charge_order(order.pk)
    (charged,) = gateway.ledger()
    assert order.payments.get().charge_id == charged["id"]


def test_a_charge_that_was_never_made_is_made_after_the_look_up(gateway: Gateway, order: Order) -> None:
    gateway.set_mode("error", times=1)
    with pytest.raises(payments.GatewayUnavailable):
        charge_order(order.pk)
    _a_day_passes(gateway)
    charge_order(order.pk)
    assert len(gateway.ledger()) == 1


def test_retries_keep_the_first_time_and_the_key(gateway: Gateway, order: Order) -> None:
    gateway.set_mode("error", times=2)
    seen = set()
    for _ in range(2):
        with pytest.raises(payments.GatewayUnavailable):
            charge_order(order.pk)
        seen.add(Payment.objects.values_list("idempotency_key", "first_tried_at").get())
    assert len(seen) == 1


def test_the_gateways_wait_is_passed_on(gateway: Gateway, order: Order) -> None:
    gateway.set_mode("rate_limit", seconds=7, times=1)
    with pytest.raises(payments.RateLimited) as caught:
        charge_order(order.pk)
    assert caught.value.retry_after == 7


def _a_day_passes(gateway: Gateway) -> None:
    gateway.forget_keys()
    Payment.objects.update(first_tried_at=timezone.now() - timedelta(hours=25))
