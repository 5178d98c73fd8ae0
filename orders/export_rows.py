"""One order as one line of CSV. Reads no database and writes no file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from orders.models import Order

COLUMNS = (
    *("number", "placed", "name", "e-mail", "street", "postcode", "city", "country"),
    *("goods", "total", "paid", "shipped", "refunded"),
)
# What a spreadsheet takes for the beginning of a formula, its full-width twins included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def cell(text: str) -> str:
    """What people typed in, as a cell that no spreadsheet runs as a formula.

    >>> cell("=HYPERLINK(A1)"), cell("Ada Winter")
    ("'=HYPERLINK(A1)", 'Ada Winter')
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def row(order: Order) -> tuple[str, ...]:
    """An order, with its customer, lines and products, as cells."""
    goods = "; ".join(f"{line.quantity} of {line.product.name}" for line in order.lines.all())
    typed_in = (order.recipient, order.customer.email, order.street, order.postcode, order.city, order.country, goods)
    return (
        order.number,
        _time(order.placed_at),
        *(cell(text) for text in typed_in),
        f"{order.total_cents / 100:.2f}",
        _time(order.paid_at),
        _time(order.shipped_at),
        _time(order.refunded_at),
    )


def lines(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, each line ended.

    >>> lines([("a", "b, c")]).strip()
    'a,"b, c"'
    """
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _time(when: datetime | None) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S") if when else ""
