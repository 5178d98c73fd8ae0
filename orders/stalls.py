"""Orders that stand still: something is missing after an hour, and nobody is at it.

1. `unfinished` says what an order is missing, by its facts. What waits for a customer or a person is not missing.
2. A run that is under way goes on by itself; one that somebody stopped stays so.
3. A dead one is requeued, and what has no run is asked for: three times at the most, an hour apart. Then the operators
   are told, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from jobs import dead
from jobs.subjects import RunAbout
from orders.models import Order, Stall
from orders.order_runs import runs_of

STALLED_AFTER = timedelta(hours=1)
# Older ones are a person's affair.
LOOKED_AT_FOR = timedelta(days=7)
MOST_ASKED = 3
_AT_ONCE = 200
_ACTOR = "orders.recover_stalled_orders"
# The job that does each step, by its short name.
STEPS = {
    "processing": "process_order",
    "payment": "charge_order",
    "stock": "update_inventory",
    "warehouse": "notify_warehouse",
    "confirmation": "send_order_confirmation",
    "invoice": "make_invoice",
}


@dataclass(frozen=True)
class Recovery:
    """How to ask for each step again: a function of the order's id that gives the run. And whom to tell in the end."""

    asks: Mapping[str, Callable[[int], Any]]
    on_given_up: Callable[[int], object]


def unfinished(order: Order) -> list[str]:
    """The steps that this order is missing, and that no customer or person has to help with first."""
    if order.processing_started_at is None:
        return ["processing"]
    missing = {
        "payment": not (order.paid_at or order.payment_problem),
        "stock": not (order.stocked_at or order.shortage),
        "warehouse": not (order.warehouse_notified_at or order.shipping_problem),
        "confirmation": not order.confirmation_sent_at,
        "invoice": bool(order.paid_at and not (hasattr(order, "invoice") and order.invoice.file)),
    }
    return [step for step, is_missing in missing.items() if is_missing]


def recover(recovery: Recovery, now: datetime) -> int:
    """See to the orders that stand still. Returns how many steps were asked for again."""
    return sum(_see_to(order, recovery, now) for order in _suspects(now)[:_AT_ONCE])


def _suspects(now: datetime) -> QuerySet[Order]:
    """Orders that may be missing something, the oldest first."""
    missing = Q(processing_started_at=None) | Q(paid_at=None, payment_problem="") | Q(stocked_at=None, shortage="")
    missing |= Q(warehouse_notified_at=None, shipping_problem="") | Q(confirmation_sent_at=None)
    missing |= Q(paid_at__isnull=False) & (Q(invoice=None) | Q(invoice__file=""))
    placed = Order.objects.filter(placed_at__gt=now - LOOKED_AT_FOR, placed_at__lt=now - STALLED_AFTER)
    return placed.filter(missing, shipped_at=None, refunded_at=None).select_related("invoice").order_by("placed_at")


def _see_to(order: Order, recovery: Recovery, now: datetime) -> int:
    latest = runs_of(order).latest_by_job()
    return sum(_ask_again(order, step, latest.get(STEPS[step]), recovery, now) for step in unfinished(order))


@transaction.atomic
def _ask_again(order: Order, step: str, line: RunAbout | None, recovery: Recovery, now: datetime) -> bool:
    if line is not None and (line.is_pending or line.is_given_up):
        return False
    # Two that look at once see one another's stalls.
    locked = Order.objects.select_for_update().get(pk=order.pk)
    before = list(Stall.objects.filter(order=locked, step=step))
    if before and (not before[0].is_asked_again or before[0].found_at > now - STALLED_AFTER):
        return False
    stall = Stall.objects.create(order=locked, step=step, found_at=now, is_asked_again=len(before) < MOST_ASKED)
    if not stall.is_asked_again:
        recovery.on_given_up(stall.pk)
        return False
    if line is None or not _revive(line, step):
        recovery.asks[step](order.pk)
    return True


def _revive(line: RunAbout, step: str) -> bool:
    """Whether the run was dead, and goes on: a workflow that waits for it does so too."""
    found = dead.matching(run_ids=[line.id])
    reason = f"the order has stood still for an hour without its {step}"
    return bool(dead.requeue_all(found, actor=_ACTOR, reason=reason).done)
