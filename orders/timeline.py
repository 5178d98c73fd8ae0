"""An order's facts as the steps a customer reads. Reads no clock and no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orders.models import Order


class StepState(StrEnum):
    DONE = "done"
    WORKING = "working"
    WAITING = "waiting"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Step:
    """One line of the timeline. `cure` is the name of the page where a problem can be mended, if one can."""

    name: str
    state: StepState
    text: str
    at: datetime | None = None
    cure: str = ""
    cure_label: str = ""


def steps(order: Order) -> list[Step]:
    """The steps in the order a customer thinks of them; they really happen side by side."""
    return [_placed(order), _payment(order), _stock(order), _confirmation(order), _warehouse(order), _shipping(order)]


def is_moving(order: Order) -> bool:
    """Whether a step is still being worked on, so that looking again soon is worth it."""
    return any(step.state == StepState.WORKING for step in steps(order))


def headline(order: Order) -> str:
    """The whole order in one sentence."""
    if order.shipped_at:
        return "Your parcel is on its way"
    if any(step.state == StepState.PROBLEM for step in steps(order)):
        return "Your order needs attention"
    if is_moving(order):
        return "We are working on your order"
    return "Everything is ready for the carrier"


def _placed(order: Order) -> Step:
    return Step("Order received", StepState.DONE, "Thank you.", order.placed_at)


def _payment(order: Order) -> Step:
    if order.paid_at:
        return Step("Payment", StepState.DONE, "The card was charged.", order.paid_at)
    if order.payment_problem:
        text = f"The card was declined: {order.payment_problem}. Nothing was charged."
        return Step("Payment", StepState.PROBLEM, text, cure="order_pay", cure_label="Try another card")
    return Step("Payment", StepState.WORKING, "Asking the payment gateway.")


def _stock(order: Order) -> Step:
    if order.stocked_at:
        return Step("Stock", StepState.DONE, "Set aside for you.", order.stocked_at)
    if order.shortage:
        return Step("Stock", StepState.PROBLEM, f"Not enough on the shelf: {order.shortage}.")
    return Step("Stock", StepState.WORKING, "Looking on the shelf.")


def _confirmation(order: Order) -> Step:
    if order.confirmation_sent_at:
        text = f"Sent to {order.customer.email}."
        return Step("Confirmation", StepState.DONE, text, order.confirmation_sent_at)
    return Step("Confirmation", StepState.WORKING, "Writing to you.")


def _warehouse(order: Order) -> Step:
    if order.warehouse_notified_at:
        text = "The warehouse has your order and packs it."
        return Step("Warehouse", StepState.DONE, text, order.warehouse_notified_at)
    if order.shipping_problem:
        return Step(
            "Warehouse",
            StepState.PROBLEM,
            order.shipping_problem,
            cure="order_address",
            cure_label="Correct the address",
        )
    return Step("Warehouse", StepState.WORKING, "Telling the warehouse.")


def _shipping(order: Order) -> Step:
    if order.shipped_at:
        return Step("Shipped", StepState.DONE, "The carrier has your parcel.", order.shipped_at)
    if order.is_ready_to_ship:
        return Step("Shipped", StepState.WAITING, "Waiting for the carrier.")
    return Step("Shipped", StepState.WAITING, "Comes last.")
