"""Which runs belong to an order, and in which colour its page shows them."""

from __future__ import annotations

from jobs.subjects import RunsAbout, jobs_for
from orders.models import Order

# The name of a colour in the shop's style sheet, by a run's state.
TONES = {
    "scheduled": "waiting",
    "queued": "waiting",
    "running": "working",
    "retrying": "working",
    "succeeded": "done",
    "dead": "problem",
    "discarded": "waiting",
    "cancelled": "waiting",
}


def runs_of(order: Order) -> RunsAbout:
    """The order's runs and those of its payments, oldest first. What an error says in them is not for customers."""
    return jobs_for(order, *order.payments.all())
