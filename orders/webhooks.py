"""Events of the payment partner on their way in: genuine or not, stored once. What they mean is in `payment_events`."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders.models import EventState, PaymentEvent

# An event has some hundred bytes.
MAX_BODY_BYTES = 64 * 1024
# For clocks that differ and networks that are slow. The partner signs anew at each try.
TOLERANCE_SECONDS = 300
MAX_SEQUENCE = 2**31 - 1
_HEADER = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


class NotGenuine(Exception):
    """The signature is missing, old, or not made with our secret."""


class Malformed(Exception):
    """It was signed by the partner and makes no sense."""


@dataclass(frozen=True)
class Told:
    """An event, read. An event that is not about a payment has an id and a kind only."""

    id: str
    kind: str
    sequence: int = 0
    payment: str = ""
    amount_cents: int = 0
    charge: str = ""
    reason: str = ""


def check_signature(body: bytes, header: str, *, secret: str, now: float) -> None:
    """Refused with `NotGenuine`. Without a secret nothing is genuine."""
    found = _HEADER.fullmatch(header)
    if not secret or found is None:
        raise NotGenuine("There is no signature, or no secret to check it with.")
    expected = hmac.new(secret.encode(), f"{found[1]}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, found[2]):
        raise NotGenuine("The signature was not made with our secret.")
    if abs(now - int(found[1])) > TOLERANCE_SECONDS:
        raise NotGenuine(f"The signature is not of the last {TOLERANCE_SECONDS} s.")


def receive(body: bytes, *, on_new: Callable[[int], object]) -> PaymentEvent:
    """Store a genuine event, and tell `on_new(event_pk)` in the same transaction. One that came before is counted.

    What cannot be read is kept, marked, and told to nobody.
    """
    event_id, facts = _facts(body)
    with transaction.atomic():
        event, is_new = PaymentEvent.objects.get_or_create(event_id=event_id, defaults=facts)
        if not is_new:
            again = {"arrivals": F("arrivals") + 1, "last_arrived_at": timezone.now()}
            PaymentEvent.objects.filter(pk=event.pk).update(**again)
        elif event.state == EventState.RECEIVED:
            on_new(event.pk)
    return event


def read(body: str | bytes) -> Told:
    """Refused with `Malformed`."""
    try:
        return _told(json.loads(body))
    # A body of brackets only is too deep, and one that is no object has no keys.
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}"[:200]) from error


def _facts(body: bytes) -> tuple[str, dict[str, Any]]:
    # PostgreSQL stores no zero bytes in texts.
    text = body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        told = read(body)
    except Malformed as error:
        digest = hashlib.sha256(body).hexdigest()
        return f"unreadable-{digest}", {"body": text, "state": EventState.MALFORMED, "note": str(error)}
    return told.id, {"body": text, "kind": told.kind, "payment_key": told.payment, "sequence": told.sequence}


def _told(event: dict[str, Any]) -> Told:
    told = Told(id=_text(event["id"], 100), kind=_text(event["type"], 50))
    return _about_payment(told, event, event["data"]) if told.kind.startswith("payment.") else told


def _about_payment(told: Told, event: dict[str, Any], data: dict[str, Any]) -> Told:
    return replace(
        told,
        sequence=_number(event["sequence"], most=MAX_SEQUENCE),
        payment=_text(data["payment"], 100),
        amount_cents=_number(data["amount"], most=MAX_SEQUENCE),
        charge=_text(data.get("charge", "-"), 100),
        reason=_text(data.get("reason", "-"), 200),
    )


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= most or "\0" in value:
        raise ValueError(f"not a text of 1 to {most} characters: {value!r:.60}")
    # JSON can spell halves of characters, which no database stores: a ValueError too.
    value.encode()
    return value


def _number(value: Any, *, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"not a whole number from 1 to {most}: {value!r:.60}")
    return value
