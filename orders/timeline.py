"""An order's facts, and how its runs are getting on, as the steps a customer reads. Reads no clock and no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.subjects import RunAbout
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


def steps(order: Order, runs: Mapping[str, RunAbout]) -> list[Step]:
    """The steps in the order a customer thinks of them; they really happen side by side.

    `runs` has the order's latest run of each job by the job's short name, as far as one is known.
    """
    return [
        _placed(order),
        _payment(order, runs.get("charge_order")),
        _stock(order, runs.get("update_inventory")),
        _confirmation(order, runs.get("send_order_confirmation")),
        _warehouse(order, runs.get("notify_warehouse")),
        _shipping(order),
    ]


def is_moving(shown: Sequence[Step]) -> bool:
    """Whether a step is still being worked on, so that looking again soon is worth it."""
    return any(step.state == StepState.WORKING for step in shown)


def headline(shown: Sequence[Step]) -> str:
    """The whole order in one sentence."""
    if any(step.state == StepState.PROBLEM for step in shown):
        return "Your order needs attention"
    if is_moving(shown):
        return "We are working on your order"
    if shown[-1].state == StepState.DONE:
        return "Your parcel is on its way"
    return "Everything is ready for the carrier"


def _unfinished(name: str, text: str, run: RunAbout | None) -> Step:
    if run is not None and run.is_dead:
        return Step(name, StepState.PROBLEM, "This did not work, and a person has to look at it.")
    if run is not None and run.is_given_up:
        return Step(name, StepState.PROBLEM, "This was stopped, and is not tried again.")
    if run is not None and run.is_retrying:
        text = f"{text} No luck at attempt {run.attempts} of {run.max_attempts}; it will be tried again by itself."
    return Step(name, StepState.WORKING, text)


def _placed(order: Order) -> Step:
    return Step("Order received", StepState.DONE, "Thank you.", order.placed_at)


def _payment(order: Order, run: RunAbout | None) -> Step:
    if order.refunded_at:
        return Step("Payment", StepState.PROBLEM, "The money was given back.", order.refunded_at)
    if order.paid_at:
        return Step("Payment", StepState.DONE, "The card was charged.", order.paid_at)
    if order.payment_problem:
        text = f"The card was declined: {order.payment_problem}. Nothing was charged."
        return Step("Payment", StepState.PROBLEM, text, cure="order_pay", cure_label="Try another card")
    return _unfinished("Payment", "Asking the payment gateway.", run)


def _stock(order: Order, run: RunAbout | None) -> Step:
    if order.stocked_at:
        return Step("Stock", StepState.DONE, "Set aside for you.", order.stocked_at)
    if order.shortage:
        return Step("Stock", StepState.PROBLEM, f"Not enough on the shelf: {order.shortage}.")
    return _unfinished("Stock", "Looking on the shelf.", run)


def _confirmation(order: Order, run: RunAbout | None) -> Step:
    if order.confirmation_sent_at:
        text = f"Sent to {order.customer.email}."
        return Step("Confirmation", StepState.DONE, text, order.confirmation_sent_at)
    return _unfinished("Confirmation", "Writing to you.", run)


def _warehouse(order: Order, run: RunAbout | None) -> Step:
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
    return _unfinished("Warehouse", "Telling the warehouse.", run)


def _shipping(order: Order) -> Step:
    if order.shipped_at:
        return Step("Shipped", StepState.DONE, "The carrier has your parcel.", order.shipped_at)
    if order.refunded_at:
        return Step("Shipped", StepState.WAITING, "Not any more: the money was given back.")
    if order.is_ready_to_ship:
        return Step("Shipped", StepState.WAITING, "Waiting for the carrier.")
    return Step("Shipped", StepState.WAITING, "Comes last.")
