"""How the shop's pages write money and count the basket."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from orders.basket import Basket
from orders.order_runs import TONES

register = template.Library()


@register.filter
def euros(cents: int) -> str:
    """
    >>> euros(123450)
    '€\\xa01,234.50'
    """
    return f"€\N{NO-BREAK SPACE}{cents / 100:,.2f}"


@register.filter
def tone(state: str) -> str:
    """The colour of a run's state."""
    return TONES.get(state, "waiting")


@register.filter
def breakable(name: str) -> SafeString:
    """A long name that may be broken after its underscores.

    >>> breakable("charge_order")
    'charge_<wbr>order'
    """
    return format_html_join(mark_safe("_<wbr>"), "{}", ((part,) for part in name.split("_")))


@register.simple_tag(takes_context=True)
def basket_size(context: dict[str, Any]) -> int:
    request = context.get("request")
    return len(Basket(request.session)) if request is not None and hasattr(request, "session") else 0
