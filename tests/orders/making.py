"""Orders and products for tests, made by the shop's own services."""

from __future__ import annotations

import uuid
from typing import Any

from jobs.models import JobRun
from orders import checkout
from orders.checkout import Address, Item
from orders.models import Order, Product

ADDRESS = Address(recipient="Grace Mason", street="Baustrasse 7", postcode="10115", city="Berlin")


def a_product(slug: str = "claw-hammer", *, stock: int = 10, price_cents: int = 2890) -> Product:
    return Product.objects.create(
        sku=f"T-{slug}"[:20],
        slug=slug,
        name=slug.replace("-", " ").capitalize(),
        tagline="Hits",
        description="A good one.",
        price_cents=price_cents,
        stock=stock,
        picture="shop/products/claw-hammer.svg",
    )


def an_order(product: Product | None = None, **changes: Any) -> Order:
    """An order of two of one product, unless `items` says otherwise."""
    choices: dict[str, Any] = {
        "key": uuid.uuid4(),
        "items": changes.get("items") or [Item(product or a_product(), 2)],
        "email": "grace@example.com",
        "address": ADDRESS,
        "card": "tok_visa",
    }
    return checkout.place_order(**(choices | changes))


def asked() -> list[str]:
    """The names of the jobs that were asked for, in that order."""
    return [name.removeprefix("orders.") for name in JobRun.objects.order_by("id").values_list("name", flat=True)]
