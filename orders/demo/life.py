"""What a new demo has gone through already, so that its pages are not empty. All of it really happens, as jobs."""

from __future__ import annotations

import contextlib
import uuid

from orders import checkout, subscribing
from orders.checkout import Address, Item
from orders.models import Order, Product
from orders.partners import control
from orders.partners.modes import Mode

READERS = ("ada@example.com", "bruno@example.com", "dora@example.invalid")
_ORDER_KEY = uuid.UUID("5eed0000-0000-4000-8000-000000000001")
_ADDRESS = Address(recipient="Ada Winter", street="Werkstraße 12", postcode="10115", city="Berlin")
_ASKED_OF_GATEWAY = Mode("webhook_twice", times=1)


def give_life() -> None:
    """Three readers ask for the newsletter, one with an address that is refused; Ada buys two mugs, and the gateway
    tells each of its events twice. Only where nobody has bought anything yet."""
    if Order.objects.exists():
        return
    for email in READERS:
        subscribing.sign_up(email)
    # The demo starts the gateway first; elsewhere it may be missing, and tells once.
    with contextlib.suppress(control.PartnerAway, control.ModeRefused):
        control.set_mode(control.PARTNERS["payments"], _ASKED_OF_GATEWAY)
    mugs = Item(Product.objects.get(slug="enamel-mug"), 2)
    checkout.place_order(key=_ORDER_KEY, items=[mugs], email=READERS[0], address=_ADDRESS, card="tok_visa")
