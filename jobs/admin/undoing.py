"""The page that has many discarded dead jobs back."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs import bulk, conf, discards
from jobs.admin import access, acting, bulk_actions
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin
from jobs.admin.dead_filter import DISCARDED, DeadFilter
from jobs.admin.keyset import key_or_none
from jobs.models import DeadJob
from jobs.models.bulk import BulkVerb

UNDO = Action(
    name="undo",
    recorded="undo discard",
    permission=access.DISCARD,
    label=gettext_lazy("Undo"),
    verb=discards.undo_all,
    consequence=gettext_lazy("Each is dead again, as it was. None runs by that: what is to run is retried afterwards."),
)
# More are left to a worker.
AT_ONCE = 500


def undo_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """Show what would come back, on GET; do it, on POST, to no more than what was shown."""
    if refused := access.refusal(request, UNDO.permission, action=UNDO.recorded, target="dead jobs"):
        return refused
    asked = DeadFilter.read(request.POST if request.method == "POST" else request.GET, shown=DISCARDED)
    up_to = key_or_none(request.POST.get("up_to"), int)
    if request.method == "POST" and up_to is not None and not asked.problems:
        return _do(request, asked, up_to)
    newest = DeadJob.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    chosen = discards.undoable(**asked.words_of_discarded()) if not asked.problems else DeadJob.objects.none()
    count = chosen[: conf.get().BULK_LIMIT].count()
    title = ngettext("Undo the discard of %(count)d run?", "Undo the discard of %(count)d runs?", count)
    groups = chosen.order_by().values("name", "queue", "error_class").annotate(count=Count("pk"))
    return console.page(
        request,
        "undo.html",
        title=title % {"count": count} if count else _("Nothing to do"),
        action=UNDO,
        asked=asked,
        count=count,
        grouped_by=_("By job, queue and error"),
        up_to=newest,
        groups=list(groups.order_by("-count", "name")[:20]),
        days=conf.get().UNDO_DAYS,
        key=uuid.uuid4().hex,
        back=_list_of(asked),
    )


def _do(request: HttpRequest, asked: DeadFilter, up_to: int) -> HttpResponse:
    words = asked.words_of_discarded()
    chosen = discards.undoable(**words).filter(pk__lte=up_to)
    if chosen[: AT_ONCE + 1].count() > AT_ONCE:
        return bulk_actions.ask(request, BulkVerb.UNDO, bulk.Selection(words), up_to=up_to)
    if refused := bulk_actions.too_many(request, UNDO.recorded):
        return refused
    told = {**asked.asked, "all up to": up_to}
    tally = UNDO.verb(chosen, reason=acting.reason_of(request), filter=told, **access.who(request))
    text = ngettext("%(count)d run is dead again.", "%(count)d runs are dead again.", tally.done)
    messages.success(request, text % {"count": tally.done})
    acting.tell_left(request, tally.left)
    return redirect(_list_of(asked))


def _list_of(asked: DeadFilter) -> str:
    return f"{reverse('admin:jobs_deadjob_changelist')}?{asked.query()}"
