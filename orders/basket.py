"""What a visitor wants to buy, kept in the session. Promises no stock and no price."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from django.contrib.sessions.backends.base import SessionBase

from orders.checkout import Item
from orders.models import Product

MAX_QUANTITY = 20


class Basket:
    """Quantities by product, and the key that makes an order of this basket once.

    1. `put` fills it; products that are gone by the time it is read are left out.
    2. `key` is given to the checkout form, and comes back with it.
    3. `clear` empties it after the order, and the next basket gets another key.
    """

    def __init__(self, session: SessionBase) -> None:
        self._session = session
        self._quantities: dict[str, int] = dict(session.get("basket", {}))

    def __len__(self) -> int:
        return sum(self._quantities.values())

    def __iter__(self) -> Iterator[Item]:
        products = Product.objects.filter(pk__in=self._quantities)
        return (Item(product, self._quantities[str(product.pk)]) for product in products)

    @property
    def key(self) -> uuid.UUID:
        if "basket_key" not in self._session:
            self._session["basket_key"] = str(uuid.uuid4())
        return uuid.UUID(self._session["basket_key"])

    def add(self, product: Product, quantity: int) -> None:
        self.put(product, self._quantities.get(str(product.pk), 0) + quantity)

    def put(self, product: Product, quantity: int) -> None:
        """Make it `quantity` of this product, at most `MAX_QUANTITY`; 0 takes it out."""
        if quantity:
            self._quantities[str(product.pk)] = min(quantity, MAX_QUANTITY)
        else:
            self._quantities.pop(str(product.pk), None)
        self._session["basket"] = self._quantities

    def clear(self) -> None:
        self._session.pop("basket", None)
        self._session.pop("basket_key", None)
        self._quantities = {}


def total_cents(items: list[Item]) -> int:
    return sum(item.total_cents for item in items)
