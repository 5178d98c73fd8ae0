"""The pages that add and edit a schedule: a form, what it would bring about, and then the saving of just that."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from jobs import conf, registry, schedules
from jobs.admin import access, acting, schedule_actions, search
from jobs.admin.console import ConsoleAdmin
from jobs.admin.schedule_actions import LIST, ONE
from jobs.admin.schedule_form import ScheduleForm
from jobs.errors import BadSchedule, JobsError
from jobs.models.schedules import Missed, Overlap
from jobs.policy.cron import ALIASES, zones
from jobs.policy.cron_words import in_words


def add_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """Ask, on GET; show what it would bring about, on POST; add it, on a POST that saves what was shown."""
    target = f"schedule {request.POST.get('name', '').strip()}"[:300]
    if refused := access.refusal(request, access.EDIT_SCHEDULE, action="add_schedule", target=target):
        return refused
    if request.method != "POST":
        return _page(console, request, ScheduleForm.blank(request.GET))
    form = ScheduleForm.sent(request.POST)
    if _saves(request, form):
        added = _try(form, lambda: schedules.add(form.name, form.told, **_words(request)))
        if added is not None:
            messages.success(request, _("The schedule %(name)s was added.") % {"name": added.name})
            return redirect(ONE, pk=added.pk)
    return _page(console, request, form)


def edit_page(console: ConsoleAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, on GET; show what would change, on POST; change it, on a POST that saves what was shown."""
    target = schedule_actions.target(pk)
    if refused := access.refusal(request, access.EDIT_SCHEDULE, action="edit_schedule", target=target):
        return refused
    schedule = schedule_actions.find(pk)
    if request.method != "POST":
        return _page(console, request, ScheduleForm.of(schedule))
    form = ScheduleForm.sent(request.POST, schedule)
    if _saves(request, form) and acting.reason_of(request):
        words = {**_words(request), "revision": form.revision}
        if _try(form, lambda: (schedules.edit(schedule, form.changes, **words),)) is not None:
            messages.success(request, _("The schedule %(name)s was edited.") % {"name": schedule.name})
            return redirect(ONE, pk=pk)
    return _page(console, request, form)


def _try(form: ScheduleForm, verb: Any) -> Any:
    """What the verb gave; None, and the problem in the form, where it could not."""
    try:
        return verb()
    except JobsError as error:
        form.problems.setdefault("", []).append(str(error))
        return None


def _saves(request: HttpRequest, form: ScheduleForm) -> bool:
    """Whether it is to be saved, can be, and is what was looked at."""
    return "save" in request.POST and form.is_whole and form.would_change and _was_seen(request, form)


def _was_seen(request: HttpRequest, form: ScheduleForm) -> bool:
    return request.POST.get("seen") == form.digest


def _words(request: HttpRequest) -> dict[str, Any]:
    return {**access.who(request), "reason": acting.reason_of(request)}


def _page(console: ConsoleAdmin, request: HttpRequest, form: ScheduleForm) -> HttpResponse:
    schedule = form.schedule
    tries = "save" in request.POST and form.is_whole
    is_seen = _was_seen(request, form)
    return console.page(
        request,
        "schedule_form.html",
        title=_("Edit %(name)s") % {"name": schedule.name} if schedule else _("Add a schedule"),
        form=form,
        schedule=schedule,
        back=reverse(ONE, args=[schedule.pk]) if schedule else reverse(LIST),
        said=_said(form),
        is_other=tries and not is_seen,
        reason=acting.reason_of(request),
        reason_missing=tries and is_seen and schedule is not None and not acting.reason_of(request),
        **_choices(form),
    )


def _choices(form: ScheduleForm) -> dict[str, Any]:
    """What the form's lists have, and the project's own where a field is left empty."""
    names = registry.names()
    return {
        "jobs": search.offered(names, form.asked["job"]),
        "late_jobs": search.offered(names, form.asked["on_late"]),
        "queues": search.offered(list(conf.queue_names()), form.asked["queue"]),
        "zones": zones(),
        "aliases": ", ".join(ALIASES),
        "missed": Missed.choices,
        "overlap": Overlap.choices,
        "project": conf.get(),
    }


def _said(form: ScheduleForm) -> str:
    """What the expression says, in words; empty where it is none."""
    try:
        return in_words(form.asked["expression"], get_language() or "")
    except BadSchedule:
        return ""
