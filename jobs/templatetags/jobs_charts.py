"""How the console draws charts: `{% chart figures %}`, of a `jobs.policy.chart.Chart`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from jobs.policy import chart as charts
from jobs.policy.chart import Chart, Slice
from jobs.policy.spans import in_words
from jobs.templatetags.jobs_console import milliseconds, tally

register = template.Library()

_STRIP = (
    '<rect class="jobs-chart-slice" x="{}" y="0" width="{}" height="{}" fill="currentColor" fill-opacity="0" '
    'stroke="none"><title data-moment="{}">{}{}</title></rect>'
)
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


@register.inclusion_tag("admin/jobs/_chart.html")
def chart(figures: Chart, empty: str = "") -> dict[str, Any]:
    """A chart as SVG, and the same as a table; `empty` is said in its place where there is nothing but zeros."""
    figures = _local(figures)
    drawing = charts.draw(figures)
    dashes = [line.dash for line in drawing.lines] or [""] * len(figures.series)
    return {
        "chart": figures,
        "drawing": drawing,
        "slices": [_Told(each, figures) for each in drawing.slices],
        "width": str(charts.WIDTH),
        "height": str(charts.HEIGHT),
        "is_timed": bool(figures.moments),
        "legend": list(zip(figures.series, dashes, strict=True)),
        "empty": empty,
    }


class _Told:
    """A slice of a chart in words: a strip that says its values when it is pointed at, and a row of the table.

    A page has hundreds of them, so they are written here and not by the template.
    """

    def __init__(self, of: Slice, figures: Chart) -> None:
        self._of = of
        self._when = slice_time(of.of)
        self._cells = [in_unit(value, figures.unit) for value in of.values]
        self._names = [series.name for series in figures.series]

    def strip(self) -> SafeString:
        at = self._of.of.isoformat() if isinstance(self._of.of, datetime) else ""
        said = "".join(f" · {name} {cell}" for name, cell in zip(self._names, self._cells, strict=True))
        return format_html(_STRIP, self._of.x, self._of.width, charts.HEIGHT, at, self._when, said)

    def row(self) -> SafeString:
        cells = format_html_join("", '<td class="jobs-number">{}</td>', ((cell,) for cell in self._cells))
        return format_html('<tr><th scope="row">{}</th>{}</tr>', _cell(self._of.of, self._when), cells)


@register.filter
def in_unit(value: float | None, unit: str) -> str:
    """A value of a chart as people read it; a dash where it is not known."""
    if value is None:
        return "—"
    if unit == "per cent":
        return _("%(value)s %%") % {"value": formats.number_format(round(value, 1 if value < 10 else 0))}
    if unit == "ms":
        return milliseconds(round(value))
    if unit == "seconds":
        return in_words(value)
    return tally(int(value)) if value == int(value) else formats.number_format(round(value, 1))


@register.filter
def beside_axis(value: float, unit: str) -> str:
    """The same, as short as an axis has room for."""
    if unit == "ms":
        return in_words(value / 1000) if value >= 1000 else milliseconds(round(value))
    if unit == "count":
        for size, letter in _THOUSANDS:
            if value >= size:
                return f"{value / (1000 if size == 1e4 else size):g}{letter}"
    return in_unit(value, unit)


@register.simple_tag
def place_time(at: datetime) -> SafeString:
    """A moment as the axis across writes it; the script makes it local."""
    is_day = at.hour == 0 and at.minute == 0
    text = formats.date_format(at, "j M") if is_day else f"{at:%H:%M}"
    return format_html('<tspan data-moment="{}">{}</tspan>', at.isoformat(), text)


@register.filter
def slice_time(of: datetime | str) -> str:
    """The moment at which a slice begins, or its word."""
    return f"{formats.date_format(of, 'j M')} {of:%H:%M}" if isinstance(of, datetime) else of


@register.simple_tag
def slice_cell(of: datetime | str) -> SafeString | str:
    """The same as a time, where it is one."""
    return _cell(of, slice_time(of))


def _cell(of: datetime | str, shown: str) -> SafeString | str:
    if not isinstance(of, datetime):
        return of
    utc = f"{of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return format_html('<time datetime="{}" title="{}" data-short>{}</time>', of.isoformat(), utc, shown)


def _local(figures: Chart) -> Chart:
    """The chart by the clock of the time zone in force."""
    over = [timezone.localtime(of) if isinstance(of, datetime) else of for of in figures.over]
    return replace(figures, over=over, marks=[replace(mark, at=timezone.localtime(mark.at)) for mark in figures.marks])
