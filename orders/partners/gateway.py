"""The payment gateway: charges a card once per idempotency key. Knows no orders, only references."""

import secrets
from typing import Any

from .door import Answer, BadRequest, Request
from .ledger import Entry
from .modes import GATEWAY_MODES, Mode
from .service import LedgerService, positive_number, required_text

DECLINED_CARDS = {"tok_declined": "do_not_honour", "tok_insufficient_funds": "insufficient_funds"}


class CardDeclined(Exception):
    """No money moved. Nothing is kept, so the same key may be used with the same request again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gateway(LedgerService):
    name = "payments"
    plural = "charges"
    modes = GATEWAY_MODES
    error_status = 500

    def _perform(self, request: Request, mode: Mode) -> Answer:
        wish = _read_charge(request.json())
        try:
            return self._once(request, wish, lambda: _charge(wish, mode))
        except CardDeclined as declined:
            return Answer(402, {"error": "card_declined", "reason": declined.reason})


def _read_charge(data: dict[str, Any]) -> dict[str, Any]:
    if data.get("currency") != "EUR":
        raise BadRequest("`currency` must be EUR.")
    return {
        "amount": positive_number(data, "amount"),
        "currency": "EUR",
        "card": required_text(data, "card"),
        "reference": required_text(data, "reference"),
    }


def _charge(wish: dict[str, Any], mode: Mode) -> Entry:
    if mode.name == "decline":
        raise CardDeclined("insufficient_funds")
    if reason := DECLINED_CARDS.get(wish["card"]):
        raise CardDeclined(reason)
    paid = {name: wish[name] for name in ("amount", "currency", "reference")}
    return {"id": f"ch_{secrets.token_hex(12)}", "status": "succeeded", **paid}
