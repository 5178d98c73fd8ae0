"""The payment gateway: charges a card once per idempotency key, and tells of it. Knows no orders, only references."""

import secrets
from pathlib import Path
from typing import Any

from .door import Answer, BadRequest, Request, Routes
from .events import EventBook, Post, Postman
from .ledger import Entry
from .modes import GATEWAY_MODES, Mode
from .service import DAY_SECONDS, LedgerService, positive_number, required_text

DECLINED_CARDS = {"tok_declined": "do_not_honour", "tok_insufficient_funds": "insufficient_funds"}


class CardDeclined(Exception):
    """No money moved. Nothing is kept, so the same key may be used with the same request again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gateway(LedgerService):
    """`POST /charges` charges, `POST /refunds` gives the money back. Events go to `post`, if there is one."""

    name = "payments"
    plural = "charges"
    modes = GATEWAY_MODES
    error_status = 500

    def __init__(
        self, folder: Path, *, port: int = 0, key_life_seconds: float = DAY_SECONDS, post: Post | None = None
    ) -> None:
        super().__init__(folder, port=port, key_life_seconds=key_life_seconds)
        self._events = EventBook(folder / f"{self.name}-events.sqlite3")
        self._postman = Postman(self._events, post, count=self._count) if post else None

    def start(self) -> None:
        super().start()
        if self._postman:
            self._postman.open()

    def stop(self) -> None:
        super().stop()
        if self._postman:
            self._postman.close()
        self._events.close()

    def events_waiting(self) -> int:
        """How many deliveries were not taken yet."""
        return self._events.waiting()

    def _routes(self) -> Routes:
        return {**super()._routes(), ("POST", "/refunds"): self._refund}

    def _perform(self, request: Request, mode: Mode) -> Answer:
        wish = _read_charge(request.json())
        key = request.headers.get("Idempotency-Key", "")
        try:
            answer = self._once(request, wish, lambda: _charge(wish, mode))
        except CardDeclined as declined:
            self._tell(["payment.created", "payment.failed"], key, wish | {"reason": declined.reason}, mode)
            return Answer(402, {"error": "card_declined", "reason": declined.reason})
        if answer.status == 201:
            self._tell(["payment.created", "payment.succeeded"], key, wish | {"charge": answer.body["id"]}, mode)
        return answer

    def _refund(self, request: Request) -> Answer:
        """All of a charge, once."""
        charge = self._ledger.entry(required_text(request.json(), "charge"))
        if charge is None:
            return Answer(404, {"error": "not_found"})
        refund = {"charge": charge["id"], "amount": charge["amount"], "status": "refunded"}
        if self._events.has(charge["idempotency_key"], "payment.refunded"):
            return Answer(200, refund)
        data = {"charge": charge["id"], "amount": charge["amount"], "reference": charge["reference"]}
        self._tell(["payment.refunded"], charge["idempotency_key"], data, self.mode)
        return Answer(201, refund)

    def _tell(self, types: list[str], payment: str, data: dict[str, Any], mode: Mode) -> None:
        if self._postman is None:
            return
        told = {name: value for name, value in data.items() if name != "card"}
        self._events.add(types, payment=payment, data=told, mode=mode)
        self._postman.wake()


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
