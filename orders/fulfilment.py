"""An order on its way to the carrier. Payment is in `charging`, stock in `inventory`, mail in `correspondence`."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from orders import warehouse
from orders.models import Order, Shipment

MAX_PROBLEM_LENGTH = 200


@transaction.atomic
def begin(order_id: int, *, on_begun: Callable[[], object]) -> None:
    """Mark the order as being processed, and tell `on_begun` in the same transaction. A second call finds the mark and
    does nothing."""
    begun = Order.objects.filter(pk=order_id, processing_started_at__isnull=True).update(
        processing_started_at=timezone.now()
    )
    if begun:
        on_begun()


def notify_warehouse(order_id: int, *, on_invalid_address: Callable[[int, str], object]) -> None:
    """Have the warehouse pack the order, unless it was asked already.

    An address it refuses is marked on the order, told through `on_invalid_address(order_id, problem)` in the
    same transaction, and raised as `warehouse.InvalidAddress`, since only a person can mend it. One that was
    corrected while the warehouse was asked is the next run's affair.
    """
    order = Order.objects.filter(pk=order_id, warehouse_notified_at__isnull=True).first()
    if order is None:
        return
    try:
        shipment = warehouse.ship(
            reference=order.reference,
            address=order.address,
            lines=_packing_list(order),
            idempotency_key=f"{order.reference}-shipment",
        )
    except warehouse.InvalidAddress as error:
        if _mark_undeliverable(order, str(error), on_invalid_address):
            raise
        return
    _mark_accepted(order, shipment.id)


@transaction.atomic
def mark_shipped(order_id: int) -> bool:
    """Record that the carrier has the parcel. False when it is not ready, or gone already."""
    # Nobody pays back, packs or ships this order between the look and the mark.
    order = Order.objects.select_for_update().filter(pk=order_id).first()
    if order is None or not order.is_ready_to_ship:
        return False
    Order.objects.filter(pk=order.pk).update(shipped_at=timezone.now())
    return True


def _packing_list(order: Order) -> list[dict[str, str | int]]:
    return [{"sku": line.product.sku, "quantity": line.quantity} for line in order.lines.select_related("product")]


@transaction.atomic
def _mark_undeliverable(asked: Order, problem: str, tell: Callable[[int, str], object]) -> bool:
    """False when the order is not as it was asked about: packed meanwhile, or under another address."""
    order = Order.objects.select_for_update().get(pk=asked.pk)
    if order.warehouse_notified_at or order.address != asked.address:
        return False
    problem = problem[:MAX_PROBLEM_LENGTH]
    # A requeued run that meets the same address again has nothing new to tell.
    if order.shipping_problem != problem:
        Order.objects.filter(pk=order.pk).update(shipping_problem=problem)
        tell(order.pk, problem)
    return True


@transaction.atomic
def _mark_accepted(asked: Order, warehouse_id: str) -> None:
    order = Order.objects.select_for_update().get(pk=asked.pk)
    if order.warehouse_notified_at is None:
        Shipment.objects.create(order=order, warehouse_id=warehouse_id)
        Order.objects.filter(pk=order.pk).update(warehouse_notified_at=timezone.now(), shipping_problem="")
