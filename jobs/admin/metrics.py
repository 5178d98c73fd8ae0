"""Figures of jobs: how often, how well, how long they waited and ran, and what a release changed. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import conf, figures, registry, workers
from jobs.admin.console import ConsoleAdmin, View
from jobs.figures import Change, Counts, Durations, Figures, Period
from jobs.policy import histogram
from jobs.policy.chart import Chart, Mark, Series
from jobs.policy.spans import in_words

_USUAL = "24h"
# The last release is looked for in this time: figures by the hour are older, but nobody compares with them.
_RELEASED_WITHIN = timedelta(days=14)
_WEEK = timedelta(days=7)

Release = tuple[str, datetime]


@dataclass(frozen=True)
class Line:
    """One job in the list."""

    job: str
    figures: Figures
    change: Change | None


@dataclass(frozen=True)
class _Order:
    label: Any
    by: Callable[[Line], Any]


_ORDERS: Mapping[str, _Order] = {
    "often": _Order(gettext_lazy("Most attempts"), lambda line: -line.figures.counts.ended),
    "failing": _Order(gettext_lazy("Failing most"), lambda line: -(line.figures.failure_rate or 0)),
    "waiting": _Order(gettext_lazy("Longest waits"), lambda line: -(line.figures.wait.p95_ms or 0)),
    "running": _Order(gettext_lazy("Longest runs"), lambda line: -(line.figures.run.p95_ms or 0)),
    "name": _Order(gettext_lazy("By name"), lambda line: line.job),
}


class MetricAdmin(ConsoleAdmin):
    """The list of jobs, and a page for each."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<path:job>/", self.job_page, "change", False),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        now, period, queue = timezone.now(), _period(request), _queue(request)
        order = request.GET.get("order", "")
        order = order if order in _ORDERS else "often"
        release = _latest_release(now)
        changes = figures.change_since(release[1], now=now) if release and queue is None else {}
        found = figures.by_job(period, queue, now=now)
        lines = [Line(job, each, changes.get(job)) for job, each in found.items() if each.counts.is_anything]
        return self.page(
            request,
            "metrics.html",
            title=_("Metrics"),
            lines=sorted(lines, key=lambda line: (_ORDERS[order].by(line), line.job)),
            charts=_charts(figures.of(period, queue=queue, now=now), _marks(period, now)) if lines else [],
            order=order,
            orders=[(key, each.label) for key, each in _ORDERS.items()],
            release=release if changes else None,
            **_asked(period, queue, now),
        )

    def job_page(self, request: HttpRequest, job: str) -> HttpResponse:
        now, period, queue = timezone.now(), _period(request), _queue(request)
        release = _latest_release(now)
        found = figures.of(period, job=job, queue=queue, now=now)
        change = figures.change_since(release[1], job, now=now).get(job) if release else None
        marks = _marks(period, now)
        return self.page(
            request,
            "metric.html",
            title=job,
            own_section=True,
            job=job,
            figures=found,
            is_known=registry.find(job) is not None,
            charts=_charts(found, marks) if found.counts.is_anything else [],
            spreads=_spreads(found) if found.counts.is_anything else [],
            trend=_trend(figures.trend(job, now=now), now),
            change=change,
            release=release if change else None,
            **_asked(period, queue, now),
        )


def _period(request: HttpRequest) -> Period:
    return figures.PERIODS.get(request.GET.get("period", _USUAL), figures.PERIODS[_USUAL])


def _queue(request: HttpRequest) -> str | None:
    asked = request.GET.get("queue", "")
    return asked if asked in conf.queue_names() else None


def _asked(period: Period, queue: str | None, now: datetime) -> dict[str, Any]:
    return {
        "period": period,
        "periods": list(figures.PERIODS.values()),
        "since": period.since(now),
        "queue": queue,
        "queues": conf.queue_names(),
    }


def _latest_release(now: datetime) -> Release | None:
    found = workers.releases(now - _RELEASED_WITHIN)
    return found[-1] if found else None


def _marks(period: Period, now: datetime) -> list[Mark]:
    return [Mark(at, release) for release, at in workers.releases(period.since(now))]


def _charts(found: Figures, marks: Sequence[Mark]) -> list[Chart]:
    """What happened in each slice of the period."""
    over = [one.at for one in found.series]
    every = found.period.slices.every

    def line(name: str, values: Callable[[Any], float | None], look: str = "plain") -> Series:
        return Series(name, [values(one) for one in found.series], look)

    ended = [
        line(_("Not failed"), lambda one: max(0, one.counts.ended - one.counts.failed), "good"),
        line(_("Failed"), lambda one: one.counts.failed, "bad"),
    ]
    rate = [line(_("Failure rate"), lambda one: _percent(one.counts), "bad")]
    waits = [
        line("p50", lambda one: one.wait.estimate_ms(50), "quiet"),
        line("p95", lambda one: one.wait.estimate_ms(95)),
    ]
    runs = [line("p50", lambda one: one.run.estimate_ms(50), "quiet"), line("p95", lambda one: one.run.estimate_ms(95))]
    shared: dict[str, Any] = {"marks": marks, "every": every}
    return [
        Chart(_("Attempts"), over, ended, bars=True, **shared),
        Chart(_("Failure rate"), over, rate, "per cent", **shared),
        Chart(_("Wait, estimated"), over, waits, "ms", **shared),
        Chart(_("Run time, estimated"), over, runs, "ms", **shared),
    ]


def _percent(counts: Counts) -> float | None:
    rate = counts.failure_rate
    return None if rate is None else rate * 100


def _spreads(found: Figures) -> list[Chart]:
    """How waits and run times are spread, by bucket."""
    return [_spread(_("How long runs waited"), found.wait), _spread(_("How long attempts ran"), found.run)]


def _spread(name: str, durations: Durations) -> Chart:
    some = [bucket for bucket, count in enumerate(durations.buckets) if count]
    shown = range(some[0], some[-1] + 1) if some else range(0)
    counts = [float(durations.buckets[bucket]) for bucket in shown]
    return Chart(name, [_below(bucket) for bucket in shown], [Series(_("Attempts"), counts)], bars=True)


def _below(bucket: int) -> str:
    end = histogram.end_ms(bucket)
    if end is None:
        return f"> {in_words((1 << (bucket - 1)) / 1000)}"
    return f"< {end} ms" if end < 1000 else f"< {in_words(end / 1000)}"


def _trend(weeks: Sequence[Counts], now: datetime) -> Chart:
    today = figures.PERIODS["13w"].slices.begin(now)
    over = [today + timedelta(days=1) - (len(weeks) - number) * _WEEK for number in range(len(weeks))]
    series = [
        Series(_("Not failed"), [float(week.ended - min(week.failed, week.ended)) for week in weeks], "good"),
        Series(_("Failed"), [float(week.failed) for week in weeks], "bad"),
    ]
    return Chart(_("Attempts in 13 weeks"), over, series, bars=True, every=_WEEK)
