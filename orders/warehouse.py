"""The warehouse's client: an answer becomes a shipment or a named error. Knows no orders, never retries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from .calling import Answer, AskedToWait, NoAnswer, call


@dataclass(frozen=True)
class Shipment:
    id: str


class WarehouseError(Exception):
    """What the warehouse can answer instead of a shipment."""


class WarehouseUnavailable(WarehouseError):
    """No answer, or none that makes sense. It may have been taken: ask again with the same key."""


class RateLimited(AskedToWait, WarehouseError):
    """The warehouse takes no more requests now."""

    partner = "The warehouse"


class InvalidAddress(WarehouseError):
    """Nothing can be sent there, now or later."""


class ShipmentRefused(WarehouseError):
    """The warehouse does not accept this request, now or later."""


def ship(
    *, reference: str, address: Mapping[str, str], lines: Sequence[Mapping[str, Any]], idempotency_key: str
) -> Shipment:
    """The shipment taken under this key, now or by an earlier call.

    `address` has `name street postcode city country`; each line has `sku` and `quantity`.
    Refused with `InvalidAddress`, `RateLimited`, `WarehouseUnavailable` or `ShipmentRefused`.
    """
    body = {"reference": reference, "address": dict(address), "lines": [dict(line) for line in lines]}
    answer = _ask(body, idempotency_key)
    match answer.status:
        case 200 | 201 if answer.body.get("id"):
            return Shipment(id=str(answer.body["id"]))
        case 422:
            raise InvalidAddress(f"The warehouse cannot ship there: {answer.told_text} Correct the address.")
        case 429:
            raise RateLimited(answer.wait_seconds)
        case 400 | 409:
            raise ShipmentRefused(f"The warehouse refused: {answer.told_text} Correct the request.")
    raise WarehouseUnavailable(f"The warehouse answered {answer.status} ({answer.told_text}). Ask again, same key.")


def _ask(body: Mapping[str, Any], idempotency_key: str) -> Answer:
    url = f"{settings.WAREHOUSE_URL.rstrip('/')}/shipments"
    try:
        return call("POST", url, body=body, headers={"Idempotency-Key": idempotency_key})
    except NoAnswer as error:
        raise WarehouseUnavailable(f"The warehouse did not answer ({error}). Ask again, same key.") from error
