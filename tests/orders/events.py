"""Events of the payment partner for tests, signed as the partner signs them."""

from __future__ import annotations

import json
import time
from typing import Any

from django.test import Client
from django.urls import reverse

from orders.models import Payment
from orders.partners.events import signature

SECRET = "the partner and the shop know it"


def an_event(payment: Payment, kind: str = "succeeded", /, *, sequence: int = 2, **changes: Any) -> dict[str, Any]:
    """What the gateway would tell of this payment. `changes` are made to its data."""
    data = {
        "payment": payment.idempotency_key,
        "amount": payment.amount_cents,
        "reference": payment.order.reference,
        "charge": "ch_1",
        "reason": "do_not_honour",
    }
    return {"id": f"evt_{kind}_{sequence}", "type": f"payment.{kind}", "sequence": sequence, "data": data | changes}


def post(event: Any, *, secret: str = SECRET, age: int = 0, client: Client | None = None, **headers: str) -> Any:
    """Send it to the shop, as an object or as bytes, signed `age` seconds ago."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    signed = {"gateway-signature": signature(body, secret=secret, at=int(time.time()) - age)}
    return (client or Client(enforce_csrf_checks=True)).post(
        reverse("payments_webhook"), body, content_type="application/json", headers=signed | headers
    )
