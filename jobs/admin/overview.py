"""The overview: how things are at a glance, each figure a link to the list that it counts. The app's index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from jobs import figures, queues, relay, sweeping, workers
from jobs.admin import figure_charts, panels, shell, tiles
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.panels import Panel
from jobs.admin.tiles import Measured
from jobs.figures import PERIODS, Figures, Period
from jobs.models import JobRun
from jobs.policy.chart import Chart
from jobs.queues import Standings

_SHOWN = ("1h", "24h", "7d")


@dataclass(frozen=True)
class _Drawn:
    """The charts of a period, and the figures of the last hour beside them."""

    charts: list[Chart]
    hour: Figures


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
        if not shell.seen().has_counted and not JobRun.objects.exists():
            return self.page(request, "overview_empty.html", title=_("Overview"))
        period = PERIODS.get(request.GET.get("period", ""), PERIODS[_SHOWN[0]])
        standings = panels.load(lambda: queues.standings(shell.seen().pauses.value))
        drawn = panels.load(lambda: _figures(period))
        return self.page(
            request,
            "overview.html",
            title=_("Overview"),
            tiles=tiles.tiles(_measured(standings, drawn)),
            standings=[(one, ()) for one in standings.value.queues] if standings.value else [],
            queues_problem=standings.problem,
            incidents=shell.seen().incidents,
            periods=[PERIODS[key] for key in _SHOWN],
            period=period,
            charts=drawn.value.charts if drawn.value else [],
            charts_problem=drawn.problem,
        )

    def shell_page(self, request: HttpRequest) -> HttpResponse:
        """What stands around every page, for the script of one that has nothing else to show anew."""
        return self.page(request, "shell.html", title=_("How jobs are"))


def _figures(period: Period) -> _Drawn:
    shown = figures.of(period)
    hour = shown if period.key == _SHOWN[0] else figures.of(_SHOWN[0])
    return _Drawn(figure_charts.charts(shown, releases=workers.releases(shown.since)), hour)


def _measured(standings: Panel[Standings], drawn: Panel[_Drawn]) -> Measured:
    return Measured(
        seen=shell.seen(),
        standings=standings,
        workers=panels.load(lambda: sum(one.kind == "child" for one in workers.live())),
        hour=Panel(drawn.value.hour if drawn.value else None, drawn.problem),
        backlog=panels.load(relay.backlog),
        compared=panels.load(sweeping.last_round),
    )


def install(site: AdminSite) -> None:
    """Let the app's index on this site be the overview."""
    overview, others = Overview(JobRun, site), site.get_urls

    def get_urls() -> list[Any]:
        # The site's own index of an app stands behind those of its models.
        return [*overview.get_urls(), *others()]

    site.get_urls = get_urls  # type: ignore[method-assign]
