"""What people ask of an order after it was placed: customers on its page, operators in the admin."""

from __future__ import annotations

from dataclasses import asdict

from django.db import transaction

from orders import charging, fulfilment, payment_events
from orders.checkout import Address
from orders.jobs import charge_order, notify_warehouse, process_webhook, send_shipping_notification, update_inventory
from orders.models import Order, PaymentEvent


@transaction.atomic
def pay_again(order: Order, *, card: str) -> None:
    """Try another card. `charging.PaymentNotNeeded` when the last one was not declined."""
    charging.open_payment(order, card)
    charge_order.enqueue(order.pk)


@transaction.atomic
def correct_address(order: Order, address: Address) -> bool:
    """Ask the warehouse again with another address. False, and nothing changed, unless it refused the last one."""
    refused = Order.objects.filter(pk=order.pk, warehouse_notified_at__isnull=True).exclude(shipping_problem="")
    if not refused.update(**asdict(address), shipping_problem=""):
        return False
    notify_warehouse.enqueue(order.pk)
    return True


@transaction.atomic
def take_stock_again(order: Order) -> bool:
    """Look on the shelf once more for an order that was short of something. False when it is not."""
    if not Order.objects.filter(pk=order.pk, stocked_at__isnull=True).exclude(shortage="").exists():
        return False
    update_inventory.enqueue(order.pk)
    return True


@transaction.atomic
def hand_to_carrier(order: Order) -> bool:
    """Record that the carrier has the parcel, and tell the customer. False when it is not ready, or gone already."""
    if not fulfilment.mark_shipped(order.pk):
        return False
    send_shipping_notification.enqueue(order.pk)
    return True


def process_again(event: PaymentEvent) -> bool:
    """Look once more at an event that came to nothing. False when there is nothing to find out."""
    if event.state not in payment_events.OPEN:
        return False
    process_webhook.enqueue(event.pk)
    return True
