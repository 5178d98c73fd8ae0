"""Many customers and orders of the past, for tests: made without any job."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from orders.models import Customer, Newsletter, Order, OrderLine, Product
from tests.orders.making import a_product


def readers(count: int, **facts: object) -> None:
    """So many customers on the newsletter's list."""
    Customer.objects.bulk_create(
        [
            Customer(
                **{"email": f"reader-{turn}@example.com", "name": f"Reader {turn}", "newsletter": Newsletter.ON_LIST}
                | facts
            )
            for turn in range(count)
        ],
        batch_size=1000,
    )


def orders(count: int, *, placed_at: datetime | None = None, product: Product | None = None, **facts: object) -> None:
    """So many orders of one customer, each of one piece of one product."""
    product = product or a_product("old-hammer")
    customer = Customer.objects.get_or_create(email="history@example.com", defaults={"name": "Hilda Story"})[0]
    address = {"recipient": "Hilda Story", "street": "Oldroad 1", "postcode": "10115", "city": "Berlin"}
    when = placed_at or timezone.now()
    # Numbers of other letters than the shop's own, so that none is taken.
    made = Order.objects.bulk_create(
        [
            Order(
                number=f"O-{turn:07d}",
                customer=customer,
                total_cents=product.price_cents,
                **{"placed_at": when, **address, **facts},
            )
            for turn in range(count)
        ],
        batch_size=1000,
    )
    OrderLine.objects.bulk_create(
        [OrderLine(order=one, product=product, quantity=1, unit_price_cents=product.price_cents) for one in made],
        batch_size=1000,
    )
