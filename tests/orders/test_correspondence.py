"""The mail jobs, called directly, with mail that really goes to the demo's mailbox by SMTP."""

from smtplib import SMTPException

import pytest
from django.utils import timezone

from jobs.models import SentEmail
from orders.jobs import (
    alert_operators,
    charge_order,
    send_order_confirmation,
    send_payment_failed,
    send_shipping_notification,
    send_welcome_email,
)
from orders.models import Order, Payment
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from tests.orders.making import an_order

pytestmark = pytest.mark.django_db


def test_a_confirmation_says_what_was_ordered(mailbox: Mailbox, order: Order) -> None:
    send_order_confirmation(order.pk)
    order.refresh_from_db()
    (mail,) = mailbox.messages()
    assert order.confirmation_sent_at is not None
    assert mail["to"] == ["grace@example.com"]
    assert order.number in mail["subject"]
    assert "2 x Claw hammer" in mail["text"]
    assert f"/orders/{order.number}/" in mail["html"]


def test_a_confirmation_is_sent_once(mailbox: Mailbox, order: Order) -> None:
    send_order_confirmation(order.pk)
    send_order_confirmation(order.pk)
    assert len(mailbox.messages()) == 1


def test_a_confirmation_sent_before_a_crash_is_not_sent_again(mailbox: Mailbox, order: Order) -> None:
    send_order_confirmation(order.pk)
    Order.objects.update(confirmation_sent_at=None)
    send_order_confirmation(order.pk)
    order.refresh_from_db()
    assert order.confirmation_sent_at is not None
    assert len(mailbox.messages()) == 1


def test_a_confirmation_the_server_refused_is_sent_by_the_retry(mailbox: Mailbox, order: Order) -> None:
    mailbox.set_mode("error", times=1)
    with pytest.raises(SMTPException):
        send_order_confirmation(order.pk)
    send_order_confirmation(order.pk)
    assert len(mailbox.messages()) == 1


def test_shipping_is_not_announced_before_it_happened(mailbox: Mailbox, order: Order) -> None:
    send_shipping_notification(order.pk)
    assert mailbox.messages() == []


def test_shipping_is_announced_once(mailbox: Mailbox, order: Order) -> None:
    now = timezone.now()
    Order.objects.update(paid_at=now, stocked_at=now, warehouse_notified_at=now, shipped_at=now)
    send_shipping_notification(order.pk)
    send_shipping_notification(order.pk)
    (mail,) = mailbox.messages()
    assert "on its way" in mail["subject"]


@pytest.mark.usefixtures("gateway")
def test_a_declined_card_is_reported_once_with_a_link(mailbox: Mailbox) -> None:
    order = an_order(card="tok_declined")
    charge_order(order.pk)
    payment = Payment.objects.get()
    send_payment_failed(payment.pk)
    send_payment_failed(payment.pk)
    (mail,) = mailbox.messages()
    assert "do not honour" in mail["text"]
    assert f"/orders/{order.number}/pay/" in mail["text"]


def test_a_payment_that_was_not_declined_is_not_reported(mailbox: Mailbox, gateway: Gateway, order: Order) -> None:
    charge_order(order.pk)
    send_payment_failed(Payment.objects.get().pk)
    assert mailbox.messages() == []


def test_a_customer_is_welcomed_once(mailbox: Mailbox, order: Order) -> None:
    send_welcome_email(order.customer_id)
    send_welcome_email(order.customer_id)
    (mail,) = mailbox.messages()
    assert "Grace Mason" in mail["subject"]


def test_operators_are_alerted_once_for_each_problem(mailbox: Mailbox, order: Order, settings) -> None:
    for problem in ("no such street", "no such street", "no such town"):
        alert_operators(order.pk, problem)
    assert [mail["to"] for mail in mailbox.messages()] == [[settings.OPERATORS_EMAIL]] * 2


@pytest.mark.parametrize(
    "job", [send_order_confirmation, send_shipping_notification, send_payment_failed, send_welcome_email]
)
def test_nobody_is_written_to_about_what_is_gone(mailbox: Mailbox, job) -> None:
    job(404)
    alert_operators(404, "gone")
    assert mailbox.messages() == []
    assert not SentEmail.objects.exists()
