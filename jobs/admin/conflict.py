"""The answer to who came too late: status 409, with what the run is now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from jobs.admin.console import ConsoleAdmin
from jobs.models import JobRun


def conflict(console: ConsoleAdmin, request: HttpRequest, run: JobRun, why: str) -> HttpResponse:
    """What the run is by now, and that nothing was changed."""
    now = JobRun.objects.filter(pk=run.pk).defer("payload", "result").first()
    response = console.page(request, "conflict.html", title=_("Too late"), run=now or run, is_gone=now is None, why=why)
    response.status_code = 409
    return response
