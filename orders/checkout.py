"""From a basket to an order. What is done with the order is asked for here and happens in `jobs`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction

from orders import charging, subscribing
from orders.jobs import process_order, send_welcome_email
from orders.models import Customer, Order, OrderLine, Product
from orders.newsletter import normalised


@dataclass(frozen=True)
class Item:
    """So many of one product."""

    product: Product
    quantity: int

    @property
    def total_cents(self) -> int:
        return self.product.price_cents * self.quantity


@dataclass(frozen=True)
class Address:
    """Where the parcel goes. `country` is the two-letter code."""

    recipient: str
    street: str
    postcode: str
    city: str
    country: str = "DE"


class EmptyBasket(Exception):
    """An order needs at least one item."""


def place_order(
    *, key: uuid.UUID, items: Sequence[Item], email: str, address: Address, card: str, newsletter: bool = False
) -> Order:
    """Make an order of a basket, and ask for its processing in the same transaction; and for the newsletter, if wanted.

    `key` names the filled basket: a form sent twice gets the order it made the first time.
    """
    if not items:
        raise EmptyBasket("The basket is empty: add something first.")
    try:
        with transaction.atomic():
            order = _create_order(key, items, email, address, card)
            if newsletter:
                subscribing.sign_up(email)
        return order
    except IntegrityError:
        earlier = Order.objects.filter(checkout_key=key).first()
        if earlier is None:
            raise
        return earlier


def _create_order(key: uuid.UUID, items: Sequence[Item], email: str, address: Address, card: str) -> Order:
    order = Order.objects.create(
        checkout_key=key,
        customer=_customer(email, address.recipient),
        total_cents=sum(item.total_cents for item in items),
        **asdict(address),
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            product=item.product,
            quantity=item.quantity,
            unit_price_cents=item.product.price_cents,
        )
        for item in items
    )
    charging.open_payment(order, card)
    process_order.enqueue(order.pk)
    return order


def _customer(email: str, name: str) -> Customer:
    customer, is_new = Customer.objects.get_or_create(email=normalised(email), defaults={"name": name})
    # Who only read the newsletter so far has no name yet.
    if is_new or Customer.objects.filter(pk=customer.pk, name="").update(name=name):
        send_welcome_email.enqueue(customer.pk)
    return customer
