"""Mail the shop sends, each letter once. What the letters say is in `letters` and the e-mail templates."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.utils import timezone

from jobs.emails import send_once
from orders import letters
from orders.models import Customer, Export, Newsletter, Order, Payment, PaymentOutcome, Stall


def welcome(customer_id: int) -> None:
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        return
    send_once("welcome", customer.email, f"customer-{customer.pk}", partial(letters.welcome, customer))


def welcome_reader(customer_id: int) -> None:
    """Tell a customer that the newsletter will come; nothing when they have left since."""
    customer = Customer.objects.filter(pk=customer_id, newsletter=Newsletter.ON_LIST).first()
    if customer is None:
        return
    # The time is part of the key: who left and came back is told again.
    key = f"customer-{customer.pk} {customer.newsletter_at:%Y%m%d%H%M%S}"
    send_once("newsletter_welcome", customer.email, key, partial(letters.newsletter_welcome, customer))


def confirm_order(order_id: int) -> None:
    """Confirm the order to its customer. The order is marked also when the letter went out before a crash."""
    order = Order.objects.select_related("customer").filter(pk=order_id, confirmation_sent_at__isnull=True).first()
    if order is None:
        return
    send_once("order_confirmation", order.customer.email, order.number, partial(letters.confirmation, order))
    Order.objects.filter(pk=order.pk, confirmation_sent_at__isnull=True).update(confirmation_sent_at=timezone.now())


def announce_shipping(order_id: int) -> None:
    """Tell the customer that the parcel has left; nothing when it has not, or when the customer knows."""
    order = (
        Order.objects.select_related("customer")
        .filter(pk=order_id, shipped_at__isnull=False, shipping_notified_at__isnull=True)
        .first()
    )
    if order is None:
        return
    send_once("shipping_notification", order.customer.email, order.number, partial(letters.shipped, order))
    Order.objects.filter(pk=order.pk, shipping_notified_at__isnull=True).update(shipping_notified_at=timezone.now())


def report_declined_card(payment_id: int) -> None:
    """Ask for another card, unless one was tried since."""
    payment = (
        Payment.objects.select_related("order__customer")
        .filter(pk=payment_id, outcome=PaymentOutcome.DECLINED)
        .exclude(order__payment_problem="")
        .first()
    )
    if payment is None:
        return
    key = f"{payment.order.number} payment {payment.number}"
    send_once("payment_failed", payment.order.customer.email, key, partial(letters.payment_failed, payment))


def alert_operators(order_id: int, problem: str) -> None:
    """Tell the operators of a problem with an order, unless it was solved since."""
    order = Order.objects.filter(pk=order_id, warehouse_notified_at__isnull=True).first()
    if order is None:
        return
    # The problem is part of the key: another refusal after a corrected address is news.
    key = f"{order.number} {problem}"[:200]
    send_once("operator_alert", settings.OPERATORS_EMAIL, key, partial(letters.operator_alert, order, problem))


def send_export(export_id: int) -> None:
    """Mail the link to an export's file; nothing when it was thrown away."""
    export = Export.objects.filter(pk=export_id).exclude(file="").first()
    if export is not None:
        send_once("export_ready", export.email, f"export-{export.pk}", partial(letters.export_ready, export))


def report_stall(stall_id: int) -> None:
    """Tell the operators of an order that stands still, whatever was asked for."""
    stall = Stall.objects.select_related("order").filter(pk=stall_id).first()
    if stall is not None:
        key = f"{stall.order.number} {stall.step}"
        send_once("order_stalled", settings.OPERATORS_EMAIL, key, partial(letters.stalled, stall))
