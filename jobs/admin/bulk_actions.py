"""The pages about bulk actions: the list, and one action's page with how far it is and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import audit, bulk
from jobs.admin import access, acting, audit_log, redis_now
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import page_asked
from jobs.models import BulkAction
from jobs.models.bulk import OPEN_STATES, RESUMABLE_STATES, BulkState, BulkVerb
from jobs.policy.rates import rate_in_words

SHOWN_FAILED = 20
PERMISSIONS = {
    BulkVerb.REQUEUE: access.REQUEUE,
    BulkVerb.DISCARD: access.DISCARD,
    BulkVerb.CANCEL: access.CANCEL,
    BulkVerb.RUN_NOW: access.RESCHEDULE,
    BulkVerb.UNDO: access.DISCARD,
    BulkVerb.CLEAR: access.CLEAR_QUEUE,
}


def _handle(
    name: str, verb: Callable[..., None], label: Promise, done: Promise, states: tuple[BulkState, ...]
) -> Action:
    """What can be done with a bulk action that is under way. Who may do what it does may do this with it."""
    return Action(name, name, "", label, verb, done, fits=lambda action: action.state in states)


HANDLES = acting.named(
    _handle("pause", bulk.pause, gettext_lazy("Pause"), gettext_lazy("Paused."), OPEN_STATES),
    _handle(
        "resume",
        bulk.resume,
        gettext_lazy("Resume"),
        gettext_lazy("Resumed: it goes on where it was."),
        RESUMABLE_STATES,
    ),
    _handle(
        "stop",
        bulk.stop,
        gettext_lazy("Stop"),
        gettext_lazy("Stopped: what has not gone stays as it is."),
        (*OPEN_STATES, BulkState.PAUSED),
    ),
)


class BulkActionAdmin(ConsoleAdmin):
    """Bulk actions: what was asked for, how far it is, why it stopped."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/", self.action_page, "change", False),
            ("<int:pk>/<slug:name>/", self.handle, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        page = page_asked(BulkAction.objects.defer("selection"), request.GET)
        return self.page(request, "bulk_actions.html", title=_("Bulk actions"), page=page)

    def action_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        action = get_object_or_404(BulkAction, pk=pk)
        fared = bulk.totals(action) if action.verb == BulkVerb.REQUEUE else None
        words = action.selection.get("words", {})
        return self.page(
            request,
            "bulk_action.html",
            title=_("Bulk action %(number)s") % {"number": action.pk},
            action=action,
            stands_still=action.is_open and not redis_now.answers(),
            rest=max(0, action.total - action.looked),
            filter=bulk.told_of(action),
            cause_page=reverse("admin:jobs_failurecause_change", args=[words["cause"]]) if "cause" in words else "",
            same_filter=_dead_filter(words),
            chosen=len(action.selection.get("keys", ())) if "keys" in action.selection else None,
            rate=rate_in_words(action.rate) if action.rate else "",
            percent=f"{action.max_failures * 100:g} %",
            of_dead=action.verb in (BulkVerb.REQUEUE, BulkVerb.DISCARD, BulkVerb.UNDO, BulkVerb.CLEAR),
            fared=fared,
            failed=list(bulk.failed(action)[:SHOWN_FAILED]) if fared and fared.failed else [],
            handles=acting.offered(request, _handles_of(action), action),
            audit_entries=audit_log.latest(request, f"bulk action {action.pk}"),
        )

    def handle(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do it, on POST; a GET only shows the action."""
        action = get_object_or_404(BulkAction, pk=pk)
        return acting.act(
            self,
            request,
            _handles_of(action).get(name),
            lambda: action,
            target=f"bulk action {pk}",
            back=reverse("admin:jobs_bulkaction_change", args=[pk]),
        )


def _handles_of(action: BulkAction) -> dict[str, Action]:
    permission = PERMISSIONS[BulkVerb(action.verb)]
    return {
        name: replace(each, recorded=f"bulk {action.verb} {name}", permission=permission)
        for name, each in HANDLES.items()
    }


def ask(request: HttpRequest, verb: BulkVerb, selection: bulk.Selection, **words: Any) -> HttpResponse:
    """Ask for a bulk action, for the reason in the form, and go to its page; the same form sent twice is one action."""
    if refused := too_many(request, f"bulk {verb.value} ask"):
        return refused
    words |= {**access.who(request), "reason": acting.reason_of(request), "key": request.POST.get("key", "")[:64]}
    action, is_new = bulk.ask(verb, selection, **words)
    if is_new:
        messages.success(request, _("It is queued: a worker does it in the background. This page shows how far it is."))
    else:
        messages.warning(request, _("This was already queued: nothing was asked for again."))
    return redirect("admin:jobs_bulkaction_change", pk=action.pk)


def too_many(request: HttpRequest, action: str) -> HttpResponse | None:
    """What a person is answered who asked for many bulk actions a moment ago; that is recorded too."""
    try:
        bulk.check_pace(access.actor(request))
    except bulk.TooManyBulk as error:
        audit.record(action=action, target="too many bulk actions", outcome="refused", **access.who(request))
        messages.error(request, _("Nothing was changed. %(why)s") % {"why": error})
        return redirect("admin:jobs_bulkaction_changelist")
    return None


def _dead_filter(words: dict[str, Any]) -> str:
    """What narrows the list of dead jobs to the cause or job of a bulk action, as a query."""
    names = {"cause": "cause", "name": "job"}
    return "?" + urlencode({names[word]: value for word, value in words.items() if word in names})
