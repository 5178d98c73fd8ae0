"""A run that a person asks for: which job, with which arguments, in which queue, when."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import by_hand, conf, registry
from jobs.admin import access, acting, argument_form
from jobs.admin.console import ConsoleAdmin
from jobs.admin.moments import moment_to_come
from jobs.errors import JobsError


def new_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """Ask which job, then for its arguments; on POST, enqueue it."""
    name = registry.full_name((request.POST.get("job") or request.GET.get("job", "")).strip())
    if refused := access.refusal(request, access.ENQUEUE, action="enqueue", target=name):
        return refused
    job = registry.find(name)
    problems: list[str] = []
    if job is not None and request.method == "POST":
        try:
            return _enqueue(request, name)
        except (JobsError, ValueError) as error:
            problems = [str(error)]
    elif name and job is None:
        problems = [_('No job is named "%(name)s" in this release.') % {"name": name}]
    fields = argument_form.sent(job, request.POST) if job and problems else argument_form.fields(job, {}) if job else []
    return console.page(
        request,
        "new_run.html",
        title=_("New run"),
        # Not the job itself: a template calls what can be called.
        name=job.name if job else "",
        call=f"{job.name}{job.signature}" if job else "",
        jobs=registry.names(),
        queues=conf.queue_names(),
        queue=request.POST.get("queue") or (job.options.queue if job else ""),
        when=request.POST.get("when", ""),
        reason=request.POST.get("reason", ""),
        fields=fields,
        problems=problems,
        key=request.POST.get("key", "")[:64] or uuid.uuid4().hex,
    )


def _enqueue(request: HttpRequest, name: str) -> HttpResponse:
    job = registry.get(name)
    arguments = argument_form.values(argument_form.sent(job, request.POST))
    run, is_new = by_hand.enqueue(
        name,
        arguments,
        queue=request.POST.get("queue", ""),
        at=_when(request),
        reason=acting.reason_of(request),
        key=request.POST.get("key", "")[:64],
        **access.who(request),
    )
    if is_new:
        messages.success(request, _("Enqueued: it starts as soon as it is due and a worker is free."))
    else:
        messages.warning(request, _("Already queued: nothing was enqueued again. This is the run that there is."))
    if not job.options.durable:
        messages.info(request, _("This job keeps no row until it fails, so its run has no page yet."))
        return redirect("admin:jobs_jobrun_changelist")
    return redirect("admin:jobs_jobrun_change", pk=run.id)


def _when(request: HttpRequest) -> datetime | None:
    return moment_to_come(request.POST.get("when", "").strip(), timezone.get_current_timezone_name())
