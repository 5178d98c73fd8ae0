"""Cancel, or run now, all runs that a search of the list matches: shown first, then done in the background."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import bulk, pending, runs
from jobs.admin import access, acting, bulk_actions
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin
from jobs.admin.keyset import key_or_none
from jobs.admin.ramp_form import MANY, RampForm
from jobs.admin.run_filter import RunFilter
from jobs.models import JobRun
from jobs.models.bulk import BulkVerb

SHOWN_SAMPLES = 20
# Their ids are kept with the action, as a search may mean other runs by the time that it comes to them.
MOST = 10_000


MANY_RUNS = acting.named(
    Action(
        name="run-now",
        recorded="bulk run_now ask",
        permission=access.RESCHEDULE,
        label=gettext_lazy("Run all now…"),
        button=gettext_lazy("Run now:"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.RUN_NOW),
        question=gettext_lazy("Run these now?"),
        consequence=gettext_lazy("Those that are due later, or wait for their next try, go to their queues at once."),
    ),
    Action(
        name="cancel",
        recorded="bulk cancel ask",
        permission=access.CANCEL,
        label=gettext_lazy("Cancel all…"),
        button=gettext_lazy("Cancel"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.CANCEL),
        question=gettext_lazy("Cancel these runs?"),
        consequence=gettext_lazy(
            "They are taken out of their queues and never run. Those that have started by then are left alone."
        ),
        destroys=True,
    ),
)
_STATES = {"run-now": pending.WAITS_FOR_A_TIME, "cancel": runs.CANCELLABLE}


def offered(request: HttpRequest, asked: RunFilter) -> list[tuple[Action, str]]:
    """What this person may do with all that the search matches, and where. Nothing for a list that nobody narrowed."""
    if not asked.asked or asked.problems:
        return []
    query = urlencode(asked.asked)
    return [
        (each, f"{reverse('admin:jobs_jobrun_many', args=[each.name])}?{query}")
        for each in MANY_RUNS.values()
        if access.may(request, each.permission)
    ]


def many_page(console: ConsoleAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """Show what would happen, on GET; ask for it, on POST, for no more than what was shown."""
    action = MANY_RUNS.get(name)
    if action is None:
        raise Http404(name)
    if refused := access.refusal(request, action.permission, action=action.recorded, target="runs"):
        return refused
    if request.method != "POST":
        return _preview(console, request, action, RunFilter.read(request.GET), up_to=_newest())
    asked = RunFilter.read(request.POST)
    up_to = key_or_none(request.POST.get("up_to"), uuid.UUID)
    count = key_or_none(request.POST.get("count"), int) or 0
    form = RampForm.read({"typed": request.POST.get("typed", "")}, count=count, typed=count > MANY)
    if up_to is None or count < 1 or form.problems or not asked.asked or acting.lacks_reason(request, action):
        return _preview(console, request, action, asked, up_to=up_to or _newest(), form=form)
    keys = tuple(_rows(asked, action, up_to).values_list("pk", flat=True)[: min(count, MOST)])
    words = {f"search {name}": value for name, value in asked.asked.items()}
    return action.verb(request, selection=bulk.Selection(words, keys=keys))


def _rows(asked: RunFilter, action: Action, up_to: uuid.UUID) -> QuerySet[JobRun]:
    return asked.rows().filter(state__in=_STATES[action.name], pk__lte=up_to).order_by("pk")


def _newest() -> uuid.UUID:
    return JobRun.objects.order_by("-pk").values_list("pk", flat=True).first() or uuid.UUID(int=0)


def _preview(
    console: ConsoleAdmin,
    request: HttpRequest,
    action: Action,
    asked: RunFilter,
    *,
    up_to: uuid.UUID,
    form: RampForm | None = None,
) -> HttpResponse:
    rows = _rows(asked, action, up_to) if asked.asked else JobRun.objects.none()
    keys = list(rows.values_list("pk", flat=True)[: MOST + 1])
    count = min(len(keys), MOST)
    return console.page(
        request,
        "many_runs.html",
        title=str(action.question) if count else _("Nothing to do"),
        action=action,
        asked=asked,
        up_to=up_to,
        count=count,
        limit=MOST if len(keys) > MOST else None,
        many=count > MANY,
        grouped_by=_("By job, queue and state"),
        groups=_groups(rows.filter(pk__lte=keys[count - 1])) if keys else [],
        samples=list(JobRun.objects.filter(pk__in=keys[:SHOWN_SAMPLES]).defer("payload", "result").order_by("pk")),
        form=form,
        reason=request.POST.get("reason", ""),
        reason_missing=form is not None and acting.lacks_reason(request, action),
        key=uuid.uuid4().hex,
        back=f"{reverse('admin:jobs_jobrun_changelist')}?{urlencode(asked.asked)}",
    )


def _groups(rows: QuerySet[JobRun]) -> list[Mapping[str, Any]]:
    counted = rows.order_by().values("name", "queue", "state").annotate(count=Count("pk"))
    return list(counted.order_by("-count", "name"))
