"""Charts as pages show them: drawn by the server, told in words, and the same as a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import translation

from jobs.policy.chart import Chart, Mark, Series
from jobs.templatetags.jobs_charts import beside_axis, in_unit

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
HOUR = [NOON + timedelta(minutes=number) for number in range(60)]


def drawn(chart: Chart, empty: str = "") -> str:
    page = Template("{% load jobs_charts %}{% chart chart empty %}").render(Context({"chart": chart, "empty": empty}))
    return str(page)


def throughput(**facts: object) -> Chart:
    series = [Series("succeeded", range(60), "good"), Series("<b>failed</b>", [None, *range(59)], "bad")]
    return Chart("Runs <ended>", HOUR, series, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("bars", [False, True])
def test_a_chart_obeys_the_content_security_policy_and_escapes(
    assert_strict: Callable[[bytes], None], bars: bool
) -> None:
    page = drawn(throughput(bars=bars, marks=[Mark(NOON + timedelta(minutes=5), "<i>r124</i>")]))
    assert_strict(page.encode())
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<ended>" not in page


def test_a_chart_has_a_title_and_the_same_as_a_table() -> None:
    page = drawn(throughput())
    assert re.search(r'role="img"[^>]*>\s*<title>Runs &lt;ended&gt;', page)
    rows = re.findall(r'<tr><th scope="row"><time[^>]*>3 May (\d\d:\d\d)</time></th>(.*?)</tr>', page)
    assert len(rows) == 60
    assert rows[0] == ("12:00", '<td class="jobs-number">0</td><td class="jobs-number">—</td>')
    assert "<title data-moment=" in page
    assert "3 May 12:01 · succeeded 1 · &lt;b&gt;failed&lt;/b&gt; 0" in page


def test_new_releases_are_named_beside_the_table() -> None:
    assert "New releases: r124 <time" in drawn(throughput(marks=[Mark(NOON + timedelta(minutes=5), "r124")]))


def test_a_chart_of_nothing_says_so() -> None:
    nothing = Chart("Runs", HOUR, [Series("failed", [0] * 60)])
    page = drawn(nothing, empty="Nothing ran.")
    assert "Nothing ran." in page
    assert "jobs-chart-plot" not in page


def test_coordinates_have_points_in_every_language() -> None:
    with translation.override("de"):
        page = drawn(Chart("Runs", HOUR, [Series("failed", [1.5] * 60)]))
    assert "1,5" in page
    assert not re.search(r' (?:d|x|y|width|height)="[^"]*,', page)


@pytest.mark.parametrize(
    ("value", "unit", "text", "short"),
    [
        (0, "count", "0", "0"),
        (12_345, "count", "12,345", "12.345k"),
        (2_500_000, "count", "2,500,000", "2.5M"),
        (2.34, "per cent", "2.3 %", "2.3 %"),
        (812, "ms", "812 ms", "812 ms"),
        (90_000, "ms", "1 min 30 s", "1 min 30 s"),
        (7200, "seconds", "2 h", "2 h"),
    ],
)
def test_values_are_written_in_their_unit(value: float, unit: str, text: str, short: str) -> None:
    assert (in_unit(value, unit), beside_axis(value, unit)) == (text, short)
