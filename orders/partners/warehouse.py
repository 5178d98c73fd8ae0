"""The warehouse: takes a shipment once per idempotency key, to an address that can exist. Moves no stock."""

import re
import secrets
from typing import Any

from .door import Answer, BadRequest, Request
from .modes import WAREHOUSE_MODES, Mode
from .service import LedgerService, positive_number, required_text

ADDRESS_FIELDS = ("name", "street", "postcode", "city", "country")
# Letters, digits, spaces and hyphens, and somewhere a digit that is not zero: "10115", "SW1A 1AA", not "00000".
POSTCODE = re.compile(r"(?=.*[1-9])[A-Za-z0-9][A-Za-z0-9 -]{1,8}[A-Za-z0-9]")


class InvalidAddress(Exception):
    """Nothing can be sent there."""


class Warehouse(LedgerService):
    name = "warehouse"
    plural = "shipments"
    modes = WAREHOUSE_MODES
    error_status = 503

    def _perform(self, request: Request, mode: Mode) -> Answer:
        try:
            wish = _read_shipment(request.json())
        except InvalidAddress as error:
            return Answer(422, {"error": "invalid_address", "message": str(error)})
        shipment = {"id": f"wh_{secrets.token_hex(12)}", "status": "accepted", **wish}
        return self._once(request, wish, lambda: shipment)


def _read_shipment(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "reference": required_text(data, "reference"),
        "lines": _read_lines(data.get("lines")),
        "address": _read_address(data.get("address")),
    }


def _read_lines(lines: Any) -> list[dict[str, Any]]:
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise BadRequest("`lines` must be a list of objects with `sku` and `quantity`.")
    return [{"sku": required_text(line, "sku"), "quantity": positive_number(line, "quantity")} for line in lines]


def _read_address(address: Any) -> dict[str, str]:
    if not isinstance(address, dict):
        raise InvalidAddress("There is no address.")
    for name in ADDRESS_FIELDS:
        if not str(address.get(name) or "").strip():
            raise InvalidAddress(f"The {name} is missing.")
    if not POSTCODE.fullmatch(str(address["postcode"]).strip()):
        raise InvalidAddress(f"There is no postcode {str(address['postcode'])[:20]!r}.")
    return {str(name): str(value) for name, value in address.items()}
