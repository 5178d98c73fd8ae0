"""The office's pages about stock files."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_http_methods, require_safe

from orders import stock_files
from orders.jobs import import_stock
from orders.models import StockFile
from orders.stock_lines import BadHeader

from .forms import StockFileForm
from .office import SHOWN, Bar

logger = logging.getLogger(__name__)

IMPORT_STOCK = "orders.import_stock"
BAD_LINES_SHOWN = 100


@staff_member_required
@require_http_methods(["GET", "HEAD", "POST"])
def stock_file_list(request: HttpRequest) -> HttpResponse:
    """All staff may look; uploading takes the permission."""
    return _upload(request) if request.method == "POST" else _page(request, StockFileForm())


@staff_member_required
@never_cache
@require_safe
def stock_file_page(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "orders/staff/stock_file.html", _standing(get_object_or_404(StockFile, pk=pk)))


@staff_member_required
@require_safe
@conditional_page
def stock_file_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of a stock file's page that changes."""
    response = render(request, "orders/staff/_stock_file.html", _standing(get_object_or_404(StockFile, pk=pk)))
    response["Cache-Control"] = "private, no-cache"
    return response


@permission_required(IMPORT_STOCK, raise_exception=True)
def _upload(request: HttpRequest) -> HttpResponse:
    form = StockFileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            kept = stock_files.accept(
                form.cleaned_data["file"], username=request.user.get_username(), on_accepted=import_stock.enqueue
            )
        except BadHeader as error:
            form.add_error("file", str(error))
        else:
            logger.info("stock file accepted", extra={"stock_file": kept.pk, "actor": str(request.user)})
            return redirect("staff_stock_file", kept.pk)
    return _page(request, form, status=400)


def _page(request: HttpRequest, form: StockFileForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "stock_files": StockFile.objects.all()[:SHOWN]}
    return render(request, "orders/staff/stock_files.html", context, status=status)


def _standing(kept: StockFile) -> dict[str, Any]:
    return {
        "stock_file": kept,
        "bar": Bar(kept.position, kept.size, "bytes"),
        "bad_lines": kept.bad_lines.all()[:BAD_LINES_SHOWN],
        "is_moving": kept.finished_at is None,
    }
