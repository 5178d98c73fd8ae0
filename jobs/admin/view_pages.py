"""Saved searches on the Jobs page: the links above the box, and the page on which they are kept in order."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs import saved_views
from jobs.admin import access, acting
from jobs.admin.console import ConsoleAdmin
from jobs.admin.run_filter import RunFilter
from jobs.models import SavedView


@dataclass(frozen=True)
class Views:
    """The saved searches that a person sees, and whether the one on the page is among them."""

    views: list[SavedView]
    current: str

    @property
    def is_saved(self) -> bool:
        return any(view.query == self.current for view in self.views)


def offered(request: HttpRequest, asked: RunFilter) -> Views:
    """What stands above the box."""
    return Views(list(saved_views.seen_by(owner_of(request))), asked.query())


def owner_of(request: HttpRequest) -> str:
    """Whose views are meant: the key of the person asking, as text."""
    return str(request.user.pk)


def views_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """All that this person sees, to be renamed and deleted; on POST, one more."""
    asked = RunFilter.read(request.POST if request.method == "POST" else request.GET)
    may_share = access.may(request, access.SHARE_VIEW)
    if request.method == "POST":
        name, shared = request.POST.get("name", ""), bool(request.POST.get("shared"))
        if not access.may(request, access.VIEW_CONSOLE):
            return access.refuse(request, access.VIEW_CONSOLE, action="save view", target=f"view {name}")
        if shared and not may_share:
            return access.refuse(request, access.SHARE_VIEW, action="save shared view", target=f"view {name}")
        words = {"owner": owner_of(request), "shared": shared, **access.who(request)}
        acting.tell(
            request,
            lambda: saved_views.save(name, asked.query(), **words),
            lambda: _("Saved: it stands above the search box."),
        )
        return HttpResponseRedirect(f"{reverse('admin:jobs_jobrun_changelist')}?{asked.query()}")
    views = list(saved_views.seen_by(owner_of(request)))
    return console.page(
        request,
        "views.html",
        title=_("Saved searches"),
        asked=asked,
        views=[(view, may_share or not view.is_shared) for view in views],
        may_share=may_share,
    )


def view_page(console: ConsoleAdmin, request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Rename or delete one, on POST; a GET only goes back."""
    back = HttpResponseRedirect(reverse("admin:jobs_jobrun_views"))
    if name not in ("rename", "delete"):
        raise Http404(name)
    if not access.may(request, access.VIEW_CONSOLE):
        return access.refuse(request, access.VIEW_CONSOLE, action=f"{name} view", target=f"view {pk}")
    view = get_object_or_404(saved_views.seen_by(owner_of(request)), pk=pk)
    if request.method != "POST":
        return back
    if view.is_shared and not access.may(request, access.SHARE_VIEW):
        return access.refuse(request, access.SHARE_VIEW, action=f"{name} shared view", target=f"view {view.name}")
    if name == "rename":
        new = request.POST.get("name", "")
        acting.tell(request, lambda: saved_views.rename(view, new, **access.who(request)), lambda: _("Renamed."))
    else:
        saved_views.delete(view, **access.who(request))
        messages.success(request, _("Deleted."))
    return back
