"""Where a customer and the staff fetch an invoice, and nobody else."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from orders import invoices
from orders.models import Order

# Kept in the session; older ones are reached by the link in the letter.
MOST_REMEMBERED = 50


def remember(request: HttpRequest, order: Order) -> None:
    """Let this browser, which placed the order, see its invoice."""
    numbers = [*request.session.get("orders", []), order.number]
    request.session["orders"] = numbers[-MOST_REMEMBERED:]


def may_see_invoice(request: HttpRequest, order: Order) -> bool:
    return order.number in request.session.get("orders", []) or request.user.has_perm("orders.view_invoice")


@never_cache
@require_safe
def order_invoice(request: HttpRequest, number: str, token: str = "") -> HttpResponseBase:
    order = get_object_or_404(Order, number=number.upper())
    if not invoices.opens(order, token) and not may_see_invoice(request, order):
        raise PermissionDenied("Only who placed the order and the staff see its invoice.")
    invoice = invoices.made_for(order)
    if invoice is None:
        messages.info(request, "The invoice comes as soon as the order is paid.")
        return redirect(order)
    return FileResponse(invoice.file.open(), as_attachment=True, filename=f"{invoice.number}.pdf")
