"""What is on the shelf. The only place that takes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders.models import Order, OrderLine, Product


@transaction.atomic
def take_stock(order_id: int) -> None:
    """Take an order's goods off the shelf, all or none, once.

    Too few of something is an outcome, not an error: the order's `shortage` says what is missing, nothing is
    taken, and a later call tries again.
    """
    order = Order.objects.select_for_update().filter(pk=order_id, stocked_at__isnull=True).first()
    if order is None:
        return
    lines = list(order.lines.all())
    products = _lock_products(lines)
    missing = describe_shortage(lines, products)
    if missing:
        Order.objects.filter(pk=order.pk).update(shortage=missing)
        return
    for line in lines:
        Product.objects.filter(pk=line.product_id).update(stock=F("stock") - line.quantity)
    Order.objects.filter(pk=order.pk).update(stocked_at=timezone.now(), shortage="")


def restock(product: Product, quantity: int) -> None:
    """Put `quantity` more on the shelf."""
    Product.objects.filter(pk=product.pk).update(stock=F("stock") + quantity)


def describe_shortage(lines: Sequence[OrderLine], products: Mapping[int, Product]) -> str:
    """What cannot be served, in words; empty when all can."""
    missing = [
        f"{product.name}: {line.quantity} ordered, {product.stock} left"
        for line in lines
        if (product := products[line.product_id]).stock < line.quantity
    ]
    return "; ".join(missing)[:500]


def _lock_products(lines: Sequence[OrderLine]) -> dict[int, Product]:
    # Everyone locks in the order of ids, so two orders with the same goods cannot wait for each other.
    locked = Product.objects.select_for_update().order_by("pk").filter(pk__in=[line.product_id for line in lines])
    return {product.pk: product for product in locked}
