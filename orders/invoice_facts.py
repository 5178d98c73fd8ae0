"""What stands on an invoice, and its sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

VAT_PERCENT = 19


@dataclass(frozen=True)
class Line:
    """So many of one product, at the price of that day."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int

    @property
    def total_cents(self) -> int:
        return self.quantity * self.unit_price_cents


@dataclass(frozen=True)
class Facts:
    """What stands on an invoice. `address` has a line each."""

    number: str
    dated: date
    order_number: str
    address: Sequence[str]
    lines: Sequence[Line]
    paid_on: date

    @property
    def total_cents(self) -> int:
        return sum(line.total_cents for line in self.lines)


def vat_cents(total_cents: int) -> int:
    """The tax that a total includes, to the nearest cent.

    >>> vat_cents(11900)
    1900
    """
    return (total_cents * VAT_PERCENT * 2 + 100 + VAT_PERCENT) // (2 * (100 + VAT_PERCENT))


def money(cents: int) -> str:
    """
    >>> money(123450)
    '1,234.50\\xa0€'
    """
    return f"{cents / 100:,.2f}\N{NO-BREAK SPACE}€"
