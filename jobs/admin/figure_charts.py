"""Figures as charts: what ended, what failed, how long runs waited and took. Asks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils.translation import gettext as _

from jobs.figures import Figures
from jobs.policy.chart import Chart, Mark, Series


def charts(figures: Figures, *, releases: Iterable[tuple[str, datetime]] = ()) -> list[Chart]:
    """Throughput, failure rate, waits and run times; `releases` mark when each was first seen."""
    marks = [Mark(seen_at, release or _("no name")) for release, seen_at in releases]
    return [_throughput(figures, marks), _failure_rate(figures, marks), *_durations(figures, marks)]


def _chart(figures: Figures, name: str, series: Sequence[Series], marks: Sequence[Mark], unit: str) -> Chart:
    over = [each.at for each in figures.series]
    every = figures.period.slices.every
    return Chart(name, over, series, unit=unit, bars=unit == "count", marks=marks, every=every)


def _throughput(figures: Figures, marks: Sequence[Mark]) -> Chart:
    counts = [each.counts for each in figures.series]
    well = Series(_("succeeded"), [each.succeeded for each in counts], "good")
    # A job that is discarded on purpose has not failed, and has not done what it was there for.
    aside = Series(_("discarded or cancelled"), [each.discarded + each.cancelled for each in counts], "quiet")
    failed = Series(_("failed attempts"), [each.failed for each in counts], "bad")
    return _chart(figures, _("Throughput"), [well, aside, failed], marks, "count")


def _failure_rate(figures: Figures, marks: Sequence[Mark]) -> Chart:
    rates = [each.counts.failure_rate for each in figures.series]
    values = [None if rate is None else rate * 100 for rate in rates]
    return _chart(figures, _("Failure rate"), [Series(_("failed attempts"), values, "bad")], marks, "per cent")


def _durations(figures: Figures, marks: Sequence[Mark]) -> list[Chart]:
    waits, runs = [each.wait for each in figures.series], [each.run for each in figures.series]
    return [
        _chart(
            figures,
            name,
            [
                Series(_("half within"), [each.estimate_ms(50) for each in durations]),
                Series(_("95 % within"), [each.estimate_ms(95) for each in durations]),
            ],
            marks,
            "ms",
        )
        for name, durations in ((_("How long runs waited"), waits), (_("How long runs took"), runs))
    ]
