"""What staff and commands ask of the partners over HTTP: how they are, what they did, to behave otherwise."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from orders.calling import Answer, NoAnswer, call

from .modes import GATEWAY_MODES, LISTS_MODES, MAILBOX_MODES, WAREHOUSE_MODES, Mode


@dataclass(frozen=True)
class Partner:
    """How one partner is reached. `entries` names what it keeps, which is read at `path`."""

    name: str
    title: str
    setting: str
    entries: str
    path: str
    modes: tuple[str, ...]

    @property
    def url(self) -> str:
        return str(getattr(settings, self.setting)).rstrip("/")


PARTNERS = {
    partner.name: partner
    for partner in (
        Partner("payments", "Payment gateway", "PAYMENTS_URL", "charges", "ledger", GATEWAY_MODES),
        Partner("warehouse", "Warehouse", "WAREHOUSE_URL", "shipments", "ledger", WAREHOUSE_MODES),
        Partner("lists", "List provider", "LISTS_URL", "members", "ledger", LISTS_MODES),
        Partner("mailbox", "Mailbox", "MAILBOX_URL", "messages", "messages", MAILBOX_MODES),
    )
}


@dataclass(frozen=True)
class State:
    """`count` is how many entries there are in all; `entries` are the newest of them, each with its time as `at`.

    `endings` counts how requests for work ended since the partner started, by status or `held`.
    """

    mode: Mode
    endings: dict[str, int]
    count: int
    entries: list[dict[str, Any]]


class PartnerAway(Exception):
    """The partner does not answer, or something else answers in its place."""

    def __init__(self, partner: Partner) -> None:
        super().__init__(partner)
        self.partner = partner

    def __str__(self) -> str:
        name, url = self.partner.name, self.partner.url
        return f"{self.partner.title} does not answer at {url}. Start it with: manage.py partners {name}"


class ModeRefused(Exception):
    """The partner does not know such a mode."""


class NoSuchCharge(Exception):
    """The gateway has made no such charge."""


class NoSuchMessage(Exception):
    """The mailbox has no such mail, or no longer."""


def state(partner: Partner, *, limit: int) -> State:
    """How the partner is, with its `limit` newest entries. Refused with `PartnerAway`."""
    told = _ask(partner, "GET", "mode").body
    kept = _ask(partner, "GET", f"{partner.path}?limit={limit}").body
    try:
        return _read_state(partner, told, kept)
    except (KeyError, TypeError, ValueError) as error:
        raise PartnerAway(partner) from error


def set_mode(partner: Partner, mode: Mode) -> None:
    """Have the partner behave like this from now on. Refused with `ModeRefused` or `PartnerAway`."""
    answer = _ask(partner, "PUT", "mode", body=mode.as_dict())
    if answer.status == 400:
        raise ModeRefused(answer.told_text)
    if answer.status != 200:
        raise PartnerAway(partner)


def refund(charge_id: str) -> None:
    """Have the gateway give all of a charge back, by itself. Refused with `NoSuchCharge` or `PartnerAway`."""
    answer = _ask(PARTNERS["payments"], "POST", "refunds", body={"charge": charge_id})
    if answer.status == 404:
        raise NoSuchCharge(charge_id)
    if answer.status not in (200, 201):
        raise PartnerAway(PARTNERS["payments"])


def message(message_id: str) -> dict[str, Any]:
    """One mail of the mailbox. Refused with `NoSuchMessage` or `PartnerAway`."""
    answer = _ask(PARTNERS["mailbox"], "GET", f"messages/{message_id}")
    if answer.status == 404:
        raise NoSuchMessage(message_id)
    if "received_at" not in answer.body:
        raise PartnerAway(PARTNERS["mailbox"])
    return _dated(answer.body)


def clear_mailbox() -> None:
    """Throw every mail away. Refused with `PartnerAway`."""
    if _ask(PARTNERS["mailbox"], "DELETE", "messages").status != 200:
        raise PartnerAway(PARTNERS["mailbox"])


def _ask(partner: Partner, method: str, path: str, *, body: dict[str, Any] | None = None) -> Answer:
    try:
        return call(method, f"{partner.url}/{path}", body=body)
    except NoAnswer as error:
        raise PartnerAway(partner) from error


def _read_state(partner: Partner, told: dict[str, Any], kept: dict[str, Any]) -> State:
    return State(
        mode=Mode(told["mode"], told["seconds"], told["times"]),
        endings=dict(told["counts"]),
        count=int(kept["count"]),
        entries=[_dated(entry) for entry in kept[partner.entries]],
    )


def _dated(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "at": datetime.fromisoformat(entry.get("made_at") or entry["received_at"])}
