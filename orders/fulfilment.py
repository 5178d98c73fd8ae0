"""An order on its way to the carrier. Payment is in `charging`, stock in `inventory`, mail in `correspondence`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils import timezone

from orders import warehouse
from orders.models import Order, Shipment

MAX_PROBLEM_LENGTH = 200


@transaction.atomic
def begin(order_id: int, *, steps: Iterable[Callable[[int], object]]) -> None:
    """Mark the order as being processed, and ask for each step. A second call finds the mark and does nothing."""
    begun = Order.objects.filter(pk=order_id, processing_started_at__isnull=True).update(
        processing_started_at=timezone.now()
    )
    if begun:
        for step in steps:
            step(order_id)


def notify_warehouse(order_id: int, *, on_invalid_address: Callable[[int, str], object]) -> None:
    """Have the warehouse pack the order, unless it was asked already.

    An address it refuses is marked on the order, told through `on_invalid_address(order_id, problem)` in the
    same transaction, and raised as `warehouse.InvalidAddress`, since only a person can mend it.
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
        _mark_undeliverable(order, str(error), on_invalid_address)
        raise
    _mark_accepted(order, shipment.id)


def mark_shipped(order_id: int) -> bool:
    """Record that the carrier has the parcel. False when it is not ready yet, or gone already."""
    ready = Order.objects.filter(
        pk=order_id,
        paid_at__isnull=False,
        stocked_at__isnull=False,
        warehouse_notified_at__isnull=False,
        shipped_at__isnull=True,
        refunded_at__isnull=True,
    )
    return bool(ready.update(shipped_at=timezone.now()))


def _packing_list(order: Order) -> list[dict[str, str | int]]:
    return [{"sku": line.product.sku, "quantity": line.quantity} for line in order.lines.select_related("product")]


@transaction.atomic
def _mark_undeliverable(order: Order, problem: str, tell: Callable[[int, str], object]) -> None:
    problem = problem[:MAX_PROBLEM_LENGTH]
    # A requeued run that meets the same address again has nothing new to tell.
    if Order.objects.filter(pk=order.pk).exclude(shipping_problem=problem).update(shipping_problem=problem):
        tell(order.pk, problem)


@transaction.atomic
def _mark_accepted(order: Order, warehouse_id: str) -> None:
    Shipment.objects.get_or_create(order=order, defaults={"warehouse_id": warehouse_id})
    Order.objects.filter(pk=order.pk, warehouse_notified_at__isnull=True).update(
        warehouse_notified_at=timezone.now(), shipping_problem=""
    )
