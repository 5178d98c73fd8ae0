"""What is too heavy, grows, or starts too slowly is told."""

from __future__ import annotations

import os

import pytest

from bench import memory


@pytest.mark.parametrize(
    ("figures", "broken"),
    [
        ({"rss_mb": 57.3, "growth_mb": 0.4, "startup_s": 0.8}, []),
        ({"rss_mb": 70.1, "growth_mb": 0.4, "startup_s": 0.8}, ["rss_mb is 70.1, not 70.0 or less"]),
        ({"rss_mb": 57.3, "growth_mb": 1.1, "startup_s": 0.8}, ["growth_mb is 1.1, not 1.0 or less"]),
        ({"rss_mb": 57.3, "growth_mb": -0.4, "startup_s": 1.1}, ["startup_s is 1.1, not 1.0 or less"]),
    ],
)
def test_limits_are_kept(figures: dict[str, float], broken: list[str]) -> None:
    assert memory._broken(figures) == broken


def test_growth_is_what_the_second_half_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "startup_seconds", lambda target, place: 0.8)
    weights = [50.0, 54.0, 55.0, 56.0, 56.5, 57.0, 57.0, 57.1, 58.0, 57.2]
    figures = memory._figures(None, weights, None)  # type: ignore[arg-type]
    assert figures == {"rss_mb": 58.0, "growth_mb": 0.7, "startup_s": 0.8}


def test_a_process_is_weighed() -> None:
    assert memory._resident_mb(os.getpid()) > 5
