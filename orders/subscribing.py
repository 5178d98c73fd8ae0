"""What people ask about the newsletter: to get it, and to leave it. What is done about it happens in `jobs`."""

from __future__ import annotations

from orders import newsletter
from orders.jobs import subscribe, unsubscribe
from orders.models import Customer


def sign_up(email: str) -> Customer:
    """Keep that this address wants the newsletter. Asked twice, done once."""
    return newsletter.sign_up(email, on_asked=subscribe.enqueue)


def leave(customer: Customer) -> bool:
    """Keep that they want it no more. False when they did not have it."""
    return newsletter.leave(customer, on_left=unsubscribe.enqueue)
