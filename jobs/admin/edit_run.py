"""Other arguments for a run that is dead or waits, and a new life with them. Secrets stay masked."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from jobs import by_hand
from jobs.admin import access, acting, argument_form
from jobs.admin.conflict import conflict
from jobs.admin.console import ConsoleAdmin
from jobs.errors import JobsError, NotEditable, NotRequeueable
from jobs.models import JobRun
from jobs.policy.redaction import MASK


def edit_page(console: ConsoleAdmin, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The masked arguments in a form; on POST, what became of them."""
    if refused := access.refusal(request, access.EDIT, action="edit", target=str(pk)):
        return refused
    run = get_object_or_404(JobRun, pk=pk)
    try:
        job = by_hand.job_of(run)
    except NotEditable as error:
        messages.warning(request, _("Nothing was changed. %(why)s") % {"why": error})
        return redirect("admin:jobs_jobrun_change", pk=pk)
    problems: list[str] = []
    is_sent = request.method == "POST"
    fields = argument_form.sent(job, request.POST) if is_sent else argument_form.fields(job, run.arguments)
    if is_sent:
        try:
            arguments = argument_form.values(fields)
            by_hand.edit(run, arguments, reason=acting.reason_of(request), **access.who(request))
        except (NotEditable, NotRequeueable) as error:
            return conflict(console, request, run, str(error))
        except (JobsError, ValueError) as error:
            problems = [str(error)]
        else:
            messages.success(request, _("Changed: it runs with these arguments, with all its attempts ahead of it."))
            return redirect("admin:jobs_jobrun_change", pk=pk)
    return console.page(
        request,
        "edit_run.html",
        title=_("Edit the arguments and retry"),
        run=run,
        fits=run.state in by_hand.EDITABLE,
        fields=fields,
        has_masks=any(MASK in field.text for field in fields),
        problems=problems,
        reason=request.POST.get("reason", ""),
    )
