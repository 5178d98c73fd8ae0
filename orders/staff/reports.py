"""The office's pages about reports."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from orders.jobs import make_monthly_report
from orders.models import Report, ReportKind

from .forms import MonthForm

MAKE_REPORT = "orders.add_report"
MONTHS_SHOWN = 24


@staff_member_required
@require_http_methods(["GET", "HEAD", "POST"])
def report_list(request: HttpRequest) -> HttpResponse:
    """All staff may look; asking takes the permission."""
    return _ask(request) if request.method == "POST" else _page(request, MonthForm())


@staff_member_required
@require_safe
def report_page(request: HttpRequest, kind: str, period: str) -> HttpResponse:
    report = get_object_or_404(Report, kind=kind, period=period)
    return render(request, "orders/staff/report.html", {"report": report})


@permission_required(MAKE_REPORT, raise_exception=True)
def _ask(request: HttpRequest) -> HttpResponse:
    form = MonthForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    make_monthly_report.enqueue(form.cleaned_data["month"])
    messages.success(request, f"The report of {form.cleaned_data['month']} is being made.")
    return redirect("staff_reports")


def _page(request: HttpRequest, form: MonthForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "months": Report.objects.filter(kind=ReportKind.MONTHLY)[:MONTHS_SHOWN],
        "days": Report.objects.filter(kind=ReportKind.DAILY),
    }
    return render(request, "orders/staff/reports.html", context, status=status)
