"""The office's pages about the newsletter."""

from __future__ import annotations

import logging
import math
from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_http_methods, require_safe

from orders import issues
from orders.jobs import send_issue
from orders.models import Issue

from .forms import IssueForm
from .office import SHOWN, Bar

logger = logging.getLogger(__name__)

SEND_ISSUE = "orders.send_issue"


@staff_member_required
@never_cache
@require_safe
def issue_list(request: HttpRequest) -> HttpResponse:
    context = {"issues": Issue.objects.all()[:SHOWN], "readers": issues.readers().count()}
    return render(request, "orders/staff/issues.html", context)


@staff_member_required
@permission_required(SEND_ISSUE, raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def write(request: HttpRequest) -> HttpResponse:
    form = IssueForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        issue = issues.write(**form.cleaned_data, username=request.user.get_username())
        return redirect("staff_issue", issue.pk)
    return render(request, "orders/staff/issue_write.html", {"form": form})


@staff_member_required
@permission_required(SEND_ISSUE, raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def rewrite(request: HttpRequest, pk: int) -> HttpResponse:
    issue = get_object_or_404(Issue, pk=pk)
    initial = {name: getattr(issue, name) for name in IssueForm.base_fields}
    form = IssueForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        if not issues.rewrite(issue, **form.cleaned_data):
            messages.error(request, "It is on its way already: its words stay as they are.")
        return redirect("staff_issue", pk)
    return render(request, "orders/staff/issue_write.html", {"form": form, "issue": issue})


@staff_member_required
@never_cache
@require_safe
def issue_page(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "orders/staff/issue.html", _standing(get_object_or_404(Issue, pk=pk)))


@staff_member_required
@require_safe
@conditional_page
def issue_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of an issue's page that changes."""
    response = render(request, "orders/staff/_issue.html", _standing(get_object_or_404(Issue, pk=pk)))
    response["Cache-Control"] = "private, no-cache"
    return response


@staff_member_required
@permission_required(SEND_ISSUE, raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks on GET, does on POST."""
    issue = get_object_or_404(Issue, pk=pk)
    if request.method != "POST":
        return render(request, "orders/staff/issue_send.html", {"issue": issue, "readers": issues.readers().count()})
    if issues.send(issue.pk, on_sending=send_issue.enqueue):
        logger.info("issue sent", extra={"issue": issue.pk, "actor": str(request.user)})
    else:
        messages.info(request, "It is on its way already.")
    return redirect("staff_issue", pk)


def _standing(issue: Issue) -> dict[str, Any]:
    now = issues.standing(issue)
    return {
        "issue": issue,
        "standing": now,
        "bar": Bar(now.done, now.total, "letters"),
        "console_url": now.batch and reverse("admin:jobs_batch_change", args=[now.batch]),
        "left": _left(now.seconds_left) if now.done < now.total else "",
        "is_moving": bool(issue.sending_at and not issue.finished_at),
    }


def _left(seconds: float | None) -> str:
    """How long it takes, as people say it.

    >>> _left(200), _left(7300), _left(None)
    ('about 4 minutes left', 'about 2 hours left', '')
    """
    if seconds is None:
        return ""
    if seconds < 90:
        return "about a minute left"
    if seconds < 5400:
        return f"about {math.ceil(seconds / 60)} minutes left"
    return f"about {round(seconds / 3600)} hours left"
