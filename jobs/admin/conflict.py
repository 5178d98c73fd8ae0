"""The answer to who came too late: status 409, with what the run is now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from jobs.admin.console import ConsoleAdmin
from jobs.models import JobRun
from jobs.models.runs import PENDING_STATES


def conflict(console: ConsoleAdmin, request: HttpRequest, run: JobRun, why: str, *, again: object = "") -> HttpResponse:
    """What the run is by now, and that nothing was changed; `again` where that is what was wanted."""
    now = JobRun.objects.filter(pk=run.pk).defer("payload", "result").first()
    is_again = bool(again) and now is not None and now.state in PENDING_STATES
    response = console.page(
        request,
        "conflict.html",
        title=_("Too late"),
        run=now or run,
        is_gone=now is None,
        why=why,
        again=again if is_again else "",
    )
    response.status_code = 409
    return response
