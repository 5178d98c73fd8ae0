"""No page of the console is left unmeasured, and what is too slow is told."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bench import console, pages
from jobs.admin.sections import GROUPS


def test_every_section_of_the_console_is_measured() -> None:
    assert set(pages.sections().values()) == {reverse(each.page) for _, parts in GROUPS for each in parts}
    assert "overview" in pages.sections()


@pytest.mark.parametrize(
    ("figures", "broken"),
    [
        ({"p95_ms": 200.0, "queries": 15, "redis_ms": 5.0}, []),
        ({"p95_ms": 200.1, "queries": 15, "redis_ms": 0.1}, ["jobs: p95_ms is 200.1, the most is 200"]),
        ({"p95_ms": 20.0, "queries": 16, "redis_ms": 0.1}, ["jobs: queries is 16, the most is 15"]),
        ({"p95_ms": 20.0, "queries": 5, "redis_ms": 5.1}, ["jobs: redis_ms is 5.1, the most is 5"]),
    ],
)
def test_limits_are_kept(figures: dict[str, float], broken: list[str]) -> None:
    assert console._broken("jobs", figures) == broken
