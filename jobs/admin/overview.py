"""The overview: how things are at a glance, each figure a link to the list that it counts. The app's index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from jobs.admin.console import ConsoleAdmin, View
from jobs.models import JobRun


class Overview(ConsoleAdmin):
    """One page, at the address of the app itself. It has no model."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("jobs/", self.overview_page, "overview", False),
            ("jobs/shell/", self.shell_page, "overview_shell", False),
        ]

    def get_urls(self) -> list[URLPattern]:
        return [
            path(route, self._guarded(view, acts=acts), name=f"jobs_{name}")
            for route, view, name, acts in self.routes()
        ]

    def overview_page(self, request: HttpRequest) -> HttpResponse:
        return self.page(request, "overview.html", title=_("Overview"))

    def shell_page(self, request: HttpRequest) -> HttpResponse:
        """What stands around every page, for the script of one that has nothing else to show anew."""
        return self.page(request, "shell.html", title=_("How jobs are"))


def install(site: AdminSite) -> None:
    """Let the app's index on this site be the overview."""
    overview, others = Overview(JobRun, site), site.get_urls

    def get_urls() -> list[Any]:
        # The site's own index of an app stands behind those of its models.
        return [*overview.get_urls(), *others()]

    site.get_urls = get_urls  # type: ignore[method-assign]
