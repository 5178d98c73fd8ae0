"""The office's pages about exports. The file is fetched here, and nowhere else."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_http_methods, require_safe

from orders import exports
from orders.jobs import cut_export
from orders.models import Export

from .forms import ExportForm
from .office import SHOWN, Bar

logger = logging.getLogger(__name__)

EXPORT_ORDERS = "orders.export_orders"


@dataclass(frozen=True)
class Line:
    """An export on the page."""

    export: Export
    bar: Bar

    @property
    def is_moving(self) -> bool:
        export = self.export
        return not (export.built_at or export.problem or export.thrown_away_at)


@staff_member_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def export_list(request: HttpRequest) -> HttpResponse:
    """All staff may look; asking takes the permission."""
    if request.method == "POST":
        return _ask(request)
    today = timezone.localdate()
    initial = {"first_day": today.replace(day=1), "last_day": today, "email": getattr(request.user, "email", "")}
    return render(request, "orders/staff/exports.html", {"form": ExportForm(initial=initial), **_lines()})


@staff_member_required
@require_safe
@conditional_page
def export_progress(request: HttpRequest) -> HttpResponse:
    """The part of the page that changes."""
    response = render(request, "orders/staff/_exports.html", _lines())
    response["Cache-Control"] = "private, no-cache"
    return response


@staff_member_required
@permission_required(EXPORT_ORDERS, raise_exception=True)
@never_cache
@require_safe
def fetch(request: HttpRequest, pk: int) -> HttpResponse:
    """A fresh link to the file, as the letter has one."""
    export = get_object_or_404(Export, pk=pk)
    return redirect("staff_export_file", pk, exports.token(export))


@staff_member_required
@permission_required(EXPORT_ORDERS, raise_exception=True)
@never_cache
@require_safe
def file(request: HttpRequest, pk: int, token: str) -> HttpResponseBase:
    """The file, for those who may export and have a link that is not too old."""
    export = get_object_or_404(Export, pk=pk)
    if not exports.opens(export, token):
        raise Http404("The link is too old, or nobody signed it.")
    if not export.file:
        return render(request, "orders/staff/export_gone.html", {"export": export}, status=410)
    logger.info("export fetched", extra={"export": export.pk, "actor": str(request.user)})
    name = f"orders-{export.first_day}-{export.last_day}.csv"
    return FileResponse(export.file.open(), as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")


@permission_required(EXPORT_ORDERS, raise_exception=True)
def _ask(request: HttpRequest) -> HttpResponse:
    form = ExportForm(request.POST)
    if not form.is_valid():
        return render(request, "orders/staff/exports.html", {"form": form, **_lines()}, status=400)
    username = request.user.get_username()
    export = exports.ask(**form.cleaned_data, username=username, on_asked=cut_export.enqueue)
    logger.info("export asked for", extra={"export": export.pk, "actor": str(request.user)})
    return redirect("staff_exports")


def _lines() -> dict[str, Any]:
    found = exports.with_rows_done()[:SHOWN]
    lines = [Line(export, Bar(export.rows_done, export.total, "rows")) for export in found]
    return {"lines": lines, "is_moving": any(line.is_moving for line in lines)}
