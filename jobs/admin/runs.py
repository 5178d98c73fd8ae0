"""The pages about runs, and where they are. What they show and do stands in the modules that they name."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs import audit
from jobs.admin import (
    access,
    acting,
    edit_run,
    exporting,
    many_runs,
    new_run,
    run_list,
    run_page,
    view_pages,
    waiting_runs,
)
from jobs.admin.conflict import conflict
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import key_or_none
from jobs.admin.run_actions import ACTIONS, burial_meant, open_burial, postponed_until
from jobs.models import JobRun


class RunAdmin(ConsoleAdmin):
    """Runs: found by one search box, read as a timeline; asked for, retried, edited, discarded, cancelled, stopped."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("many/<slug:name>/", self.many_page, "many", True),
            ("waiting/", self.waiting_page, "waiting", False),
            ("views/", self.views_page, "views", True),
            ("views/<int:view>/<slug:name>/", self.view_page, "view", True),
            ("export/", self.export_page, "export", True),
            ("new/", self.new_page, "new", True),
            ("<uuid:pk>/", self.run_page, "change", False),
            ("<uuid:pk>/payload/", self.payload_page, "payload", True),
            ("<uuid:pk>/retry/back/", self.retry_page, "retry", True),
            ("<uuid:pk>/edit/", self.edit_page, "edit", True),
            ("<uuid:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        """The runs that a search finds."""
        return run_list.list_page(self, request)

    def waiting_page(self, request: HttpRequest) -> HttpResponse:
        """What is due when."""
        return waiting_runs.waiting_page(self, request)

    def many_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Do one thing with all that a search matches."""
        return many_runs.many_page(self, request, name)

    def views_page(self, request: HttpRequest) -> HttpResponse:
        """Searches that are kept."""
        return view_pages.views_page(self, request)

    def view_page(self, request: HttpRequest, view: int, name: str) -> HttpResponse:
        """Rename or delete one of them."""
        return view_pages.view_page(self, request, view, name)

    def export_page(self, request: HttpRequest) -> HttpResponseBase:
        """What a search finds, as a file."""
        return exporting.export_page(self, request)

    def new_page(self, request: HttpRequest) -> HttpResponse:
        """Ask for a run."""
        return new_run.new_page(self, request)

    def edit_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Change the arguments of one, and run it with these."""
        return edit_run.edit_page(self, request, pk)

    def run_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """One run."""
        return run_page.run_page(self, request, pk)

    def payload_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Ask first, for the look itself is recorded; then show the payload."""
        target = str(pk)
        if refused := access.refusal(request, access.VIEW_PAYLOAD, action="view_payload", target=target):
            return refused
        run = get_object_or_404(JobRun, pk=pk)
        shows = request.method == "POST"
        if shows:
            reason = acting.reason_of(request)
            audit.record(action="view_payload", target=target, reason=reason, **access.who(request))
        response = self.page(request, "payload.html", title=_("Raw payload"), run=run, shows=shows)
        response.headers["Cache-Control"] = "no-store"
        return response

    def retry_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Retry from the page of the object that the run is about, and go back there; see `inlines`.

        Nothing is read of the form, which is that page's own.
        """
        target, action = str(pk), ACTIONS["retry"]
        if refused := access.refusal(request, action.permission, action=action.recorded, target=target):
            return refused
        page = reverse("admin:jobs_jobrun_change", args=[pk])
        if request.method != "POST":
            return redirect(page)
        run = get_object_or_404(JobRun.objects.defer("payload"), pk=pk)
        burial = run.burials.filter(life=key_or_none(request.GET.get("life"), int)).order_by("-pk").first()
        words = access.who(request)
        acting.tell(request, lambda: action.verb(run, burial, **words), lambda: acting.text_of(action.done, run))
        return redirect(acting.inside(request, request.GET.get("back", ""), otherwise=page))

    def action_page(self, request: HttpRequest, pk: uuid.UUID, name: str) -> HttpResponse:
        """Do one thing with one run."""
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: get_object_or_404(JobRun.objects.defer("payload"), pk=pk),
            target=str(pk),
            back=reverse("admin:jobs_jobrun_change", args=[pk]),
            given=lambda run: {"burial": burial_meant(request, run), **postponed_until(request, name)},
            template="run_act.html",
            lost=lambda run, why: conflict(self, request, run, why, again=ACTIONS[name].again),
            shown=lambda run: {
                "run": run,
                "burial": open_burial(run.burials.all()),
                "until": request.POST.get("until", ""),
            },
        )
