"""A whole order with `jobs.testing`: the examples of the guide to testing."""

import pytest

from jobs.testing import drain, fake, inline
from orders.jobs import charge_order, process_order, send_shipping_notification, send_welcome_email
from orders.models import Order, Product
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from orders.partners.warehouse import Warehouse
from tests.orders.making import a_product, an_order

pytestmark = pytest.mark.django_db

READY = {"paid_at", "stocked_at", "warehouse_notified_at", "confirmation_sent_at"}


def facts_of(order: Order) -> set[str]:
    """Which of the facts that make an order ready are there."""
    order.refresh_from_db()
    return {fact for fact in READY if getattr(order, fact)}


def test_placing_an_order_asks_for_its_processing_and_no_more(product: Product) -> None:
    with fake() as jobs:
        order = an_order(product)
    jobs.assert_enqueued(process_order, order.pk, queue="default", times=1)
    jobs.assert_enqueued(send_welcome_email, order.customer_id)
    jobs.assert_not_enqueued(charge_order)


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
def test_an_order_runs_to_its_end_in_this_process(product: Product) -> None:
    with inline():
        order = an_order(product)
    assert facts_of(order) == READY


def test_an_order_runs_as_a_worker_would_run_it(
    product: Product, gateway: Gateway, warehouse_partner: Warehouse, mailbox: Mailbox
) -> None:
    order = an_order(product)
    assert drain().counts == {"done": 7}
    assert facts_of(order) == READY
    assert len(gateway.ledger()) == len(warehouse_partner.ledger()) == 1
    assert sorted(mail["subject"] for mail in mailbox.messages()) == [
        "Welcome, Grace Mason",
        f"Your order {order.number}",
    ]


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
def test_a_failing_gateway_holds_up_nothing_else_and_charges_once_when_it_heals(gateway: Gateway) -> None:
    gateway.set_mode("error", times=3)
    order = an_order()
    assert drain().counts == {"done": 5, "retry": 1}
    assert facts_of(order) == READY - {"paid_at"}
    drain(due=True)
    assert facts_of(order) == READY
    assert len(gateway.ledger()) == 1


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
def test_one_order_of_two_gets_the_last_goods() -> None:
    scarce = a_product("hard-hat", stock=3)
    orders = [an_order(scarce), an_order(scarce)]
    drain()
    assert sorted("stocked_at" in facts_of(order) for order in orders) == [False, True]
    scarce.refresh_from_db()
    assert scarce.stock == 1


def test_a_notification_for_an_order_that_has_not_left_ends_quietly(mailbox: Mailbox, order: Order) -> None:
    with inline():
        send_shipping_notification.enqueue(order.pk)
    assert mailbox.messages() == []
