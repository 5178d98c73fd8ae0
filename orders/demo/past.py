"""What happened before the demo began, so that reports, exports and the newsletter have something to be about.

Rows only: no job ran for them. The same each time, but for the day that it ends on.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db import transaction

from orders.models import Customer, Newsletter, Order, OrderLine, Payment, PaymentOutcome, Product

READERS = 240
ORDERS = 160
SPAN = timedelta(days=65)
_FIRST = ("Mara", "Jonas", "Lena", "Tarek", "Ines", "Otto", "Priya", "Sven", "Nora", "Emil", "Zofia", "Luca")
_LAST = ("Brandt", "Dietz", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Kowalski", "Lindner", "Meyer")
_CITIES = (("10115", "Berlin"), ("20095", "Hamburg"), ("50667", "Köln"), ("80331", "München"), ("04109", "Leipzig"))


@transaction.atomic
def remember(until: datetime) -> None:
    """Make readers and orders of the two months before `until`."""
    # Not for secrets: the same past for everybody.
    dice = random.Random(5)  # noqa: S311
    customers = Customer.objects.bulk_create([_customer(number, until) for number in range(READERS)])
    products = list(Product.objects.order_by("sku"))
    buyers = [
        (dice.choice(customers), until - timedelta(minutes=dice.randrange(1440, SPAN.days * 1440)))
        for _ in range(ORDERS)
    ]
    drawn = [(customer, when, dice.sample(products, dice.randint(1, 3))) for customer, when in buyers]
    orders = Order.objects.bulk_create([_order(*one) for one in drawn])
    OrderLine.objects.bulk_create(
        OrderLine(order=order, product=product, quantity=1, unit_price_cents=product.price_cents)
        for order, (_, _, bought) in zip(orders, drawn, strict=True)
        for product in bought
    )
    Payment.objects.bulk_create(map(_payment, orders))


def _customer(number: int, until: datetime) -> Customer:
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
    since = until - SPAN - timedelta(days=number % 300)
    return Customer(
        email=f"{first}.{last}.{number}@example.com".lower(),
        name=f"{first} {last}",
        created_at=since,
        newsletter=Newsletter.ON_LIST,
        newsletter_at=since,
    )


def _order(customer: Customer, when: datetime, bought: list[Product]) -> Order:
    """An order that was paid, packed and shipped within a day."""
    postcode, city = _CITIES[customer.pk % len(_CITIES)]
    return Order(
        customer=customer,
        total_cents=sum(product.price_cents for product in bought),
        recipient=customer.name,
        street=f"Werkstraße {customer.pk % 90 + 1}",
        postcode=postcode,
        city=city,
        placed_at=when,
        processing_started_at=when,
        paid_at=when,
        stocked_at=when,
        warehouse_notified_at=when,
        confirmation_sent_at=when,
        shipped_at=when + timedelta(hours=20),
        shipping_notified_at=when + timedelta(hours=20),
    )


def _payment(order: Order) -> Payment:
    return Payment(
        order=order,
        number=1,
        card="tok_visa",
        amount_cents=order.total_cents,
        idempotency_key=f"{order.reference}-payment-1",
        outcome=PaymentOutcome.SUCCEEDED,
        charge_id=f"ch_past_{order.number}",
        first_tried_at=order.placed_at,
        finished_at=order.placed_at,
    )
