"""The payment gateway's client: an answer becomes a charge or a named error. Knows no orders, never retries."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from .calling import Answer, AskedToWait, NoAnswer, call

# The gateway's promise. After it the same key charges again, so look up first: `find_charge`.
KEY_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Charge:
    id: str
    amount_cents: int
    reference: str


class PaymentsError(Exception):
    """What the gateway can answer instead of a charge."""


class CardDeclined(PaymentsError):
    """No money moved, and none will with this card."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The card was declined ({self.reason}). Ask the customer for another card."


class RateLimited(AskedToWait, PaymentsError):
    """The gateway takes no more requests now."""

    partner = "The gateway"


class GatewayUnavailable(PaymentsError):
    """No answer, or none that makes sense. The card may have been charged: ask again with the same key."""


class KeyReused(PaymentsError):
    """The idempotency key stands for another charge."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(idempotency_key)

    def __str__(self) -> str:
        return f"Key {self.args[0]!r} was used for another charge. Make the key from what is charged."


class ChargeRefused(PaymentsError):
    """The gateway does not accept this request, now or later."""


def charge(*, reference: str, amount_cents: int, card: str, idempotency_key: str) -> Charge:
    """The charge made under this key, now or by an earlier call.

    Refused with `CardDeclined`, `RateLimited`, `GatewayUnavailable`, `KeyReused` or `ChargeRefused`.
    """
    body = {"amount": amount_cents, "currency": "EUR", "card": card, "reference": reference}
    answer = _ask("POST", "charges", body=body, headers={"Idempotency-Key": idempotency_key})
    match answer.status:
        case 200 | 201:
            return _read(answer.body)
        case 402:
            raise CardDeclined(str(answer.body.get("reason") or "unknown"))
        case 409:
            raise KeyReused(idempotency_key)
        case 400 | 422:
            raise ChargeRefused(f"The gateway refused the charge: {answer.told_text} Correct the request.")
    raise _unexpected(answer)


def find_charge(reference: str) -> Charge | None:
    """The first charge made for this reference. Refused with `RateLimited` or `GatewayUnavailable`."""
    answer = _ask("GET", f"charges?{urlencode({'reference': reference})}")
    if answer.status != 200 or not isinstance(answer.body.get("charges"), list):
        raise _unexpected(answer)
    charges = [_read(found) for found in answer.body["charges"]]
    return next((found for found in reversed(charges) if found.reference == reference), None)


def _ask(method: str, path: str, **parts: Any) -> Answer:
    try:
        answer = call(method, f"{settings.PAYMENTS_URL.rstrip('/')}/{path}", **parts)
    except NoAnswer as error:
        raise GatewayUnavailable(f"The gateway did not answer ({error}). Ask again, same key.") from error
    if answer.status == 429:
        raise RateLimited(answer.wait_seconds)
    return answer


def _read(body: Any) -> Charge:
    try:
        return Charge(id=str(body["id"]), amount_cents=int(body["amount"]), reference=str(body["reference"]))
    except (KeyError, TypeError, ValueError) as error:
        raise GatewayUnavailable("The gateway's answer is not a charge. Ask again, same key.") from error


def _unexpected(answer: Answer) -> GatewayUnavailable:
    return GatewayUnavailable(f"The gateway answered {answer.status} ({answer.told_text}). Ask again, same key.")
