"""The stop orders that this process knows of, by the token of the claim that they end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobs.broker.stops import StopOrder

_orders: dict[str, StopOrder] = {}


def note(found: Mapping[str, StopOrder]) -> None:
    """Remember these orders, given by token."""
    _orders.update(found)


def of(token: str) -> StopOrder | None:
    """Who wants this claim's run to end, and why; None when nobody does."""
    return _orders.get(token)


def forget(tokens: Iterable[str]) -> None:
    """Drop the orders for claims that have ended."""
    for token in tokens:
        _orders.pop(token, None)
