"""The first of the office's pages, and what all of them share."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from orders.models import Export, Issue, Report, Stall, StockFile

SHOWN = 20


@dataclass(frozen=True)
class Door:
    """A page of the office, and what there is behind it."""

    title: str
    name: str
    words: str
    model: type[Model]

    @property
    def url(self) -> str:
        return reverse(self.name)

    @property
    def count(self) -> int:
        return self.model._default_manager.count()


@dataclass(frozen=True)
class Bar:
    """How far something is. `total` is None while nobody knows, and `done` never passes it."""

    done: int
    total: int | None
    unit: str

    @property
    def percent(self) -> int:
        """Whole, and 100 only when all is done."""
        return 0 if not self.total else 100 * self.done // self.total


@staff_member_required
@require_safe
def office(request: HttpRequest) -> HttpResponse:
    doors = [
        Door("Newsletter", "staff_issues", "Write an issue, and send it to all readers.", Issue),
        Door("Exports", "staff_exports", "Orders as one file for a spreadsheet.", Export),
        Door("Reports", "staff_reports", "What was sold, by day and by month.", Report),
        Door("Stock files", "staff_stock_files", "Put goods that came on the shelf.", StockFile),
        Door("Stalled orders", "staff_stalls", "What stood still, and was asked for again.", Stall),
    ]
    return render(request, "orders/staff/office.html", {"doors": doors})


@staff_member_required
@require_safe
def stalls(request: HttpRequest) -> HttpResponse:
    found = Stall.objects.select_related("order")[:SHOWN]
    return render(request, "orders/staff/stalls.html", {"stalls": found})
