"""What is done with an order: its workflow's graph, and what follows of each way in which a payment ends."""

from __future__ import annotations

import pytest

from jobs import dead
from jobs.models import Workflow
from jobs.testing import drain
from jobs.workflows import retry_from
from orders import charging
from orders.jobs import order_flow, process_order
from orders.models import Order, Payment, PaymentOutcome
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from tests.orders.making import an_order, asked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("warehouse_partner")]


def steps() -> dict[str, str]:
    return dict(Workflow.objects.get().steps.values_list("name", "state"))


def test_the_graph_says_what_waits_for_the_payment_and_what_does_not() -> None:
    flow = order_flow(17)
    flow.check()
    waits = {name for name, step in flow.steps.items() if [one.step for one in step.after] == ["payment"]}
    assert waits == {"invoice", "payment failed"}
    assert set(flow.steps) - waits == {"payment", "stock", "warehouse", "confirmation"}


def test_a_paid_order_gets_its_invoice_and_no_letter_of_failure(gateway: Gateway, mailbox: Mailbox) -> None:
    order = an_order()
    drain()
    assert steps() == {
        "payment": "succeeded",
        "stock": "succeeded",
        "warehouse": "succeeded",
        "confirmation": "succeeded",
        "invoice": "succeeded",
        "payment failed": "skipped",
    }
    order.refresh_from_db()
    assert order.invoice.file
    assert Workflow.objects.get().state == "succeeded"
    assert asked().count("make_invoice") == 1


def test_after_a_declined_card_the_customer_is_told_and_there_is_no_invoice(gateway: Gateway, mailbox: Mailbox) -> None:
    order = an_order(card="tok_declined")
    drain()
    assert (steps()["payment failed"], steps()["invoice"]) == ("succeeded", "skipped")
    assert [mail["subject"] for mail in mailbox.messages()].count(f"Your order {order.number} needs another card") == 1
    assert "make_invoice" not in asked()


def test_what_the_gateway_told_first_counts_for_the_workflow_too(gateway: Gateway, mailbox: Mailbox) -> None:
    order = an_order()
    payment = Payment.objects.get(order=order)
    charging.mark_paid(payment, "ch_told", lambda order_id: None)
    drain()
    assert gateway.ledger() == []
    assert steps()["invoice"] == "succeeded"


def test_a_charge_that_died_and_is_retried_goes_on_with_the_invoice(gateway: Gateway, mailbox: Mailbox) -> None:
    gateway.set_mode("error")
    order = an_order()
    drain(due=True)
    assert (steps()["payment"], steps()["invoice"]) == ("failed", "blocked")
    assert (steps()["stock"], steps()["confirmation"]) == ("succeeded", "succeeded")
    gateway.set_mode("ok")
    dead.requeue_all(dead.matching(), actor="ann")
    drain(due=True)
    assert (steps()["invoice"], Workflow.objects.get().state) == ("succeeded", "succeeded")
    order.refresh_from_db()
    assert order.invoice.file


def test_a_workflow_that_is_retried_from_its_payment_charges_once(gateway: Gateway, mailbox: Mailbox) -> None:
    an_order()
    drain()
    retry_from(Workflow.objects.get(), "payment", actor="ann", reason="to see")
    drain()
    assert len(gateway.ledger()) == 1
    assert Payment.objects.get().outcome == PaymentOutcome.SUCCEEDED
    assert steps()["invoice"] == "succeeded"


def test_an_order_has_one_workflow_however_often_it_is_processed(gateway: Gateway, mailbox: Mailbox) -> None:
    order = an_order()
    drain()
    Order.objects.filter(pk=order.pk).update(processing_started_at=None)
    process_order.enqueue(order.pk)
    drain()
    assert Workflow.objects.count() == 1
