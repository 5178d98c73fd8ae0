"""An empty timetable for each test, and schedules of sample jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs import schedules, timetable
from jobs.models import Schedule

TERMS = {"job": "tests.sample.add", "expression": "0 3 * * *", "timezone": "Europe/Berlin"}


@pytest.fixture(autouse=True)
def empty_timetable(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What other tests and the docs declare stays out."""
    declared: dict[str, Any] = {}
    monkeypatch.setattr(timetable, "_timetable", declared)
    return declared


@pytest.fixture
def a_schedule(db: None) -> Callable[..., Schedule]:
    """Adds a schedule of `add(1, 2)`: `a_schedule("0 3 * * *", overlap="skip")`."""

    def add(expression: str = "0 3 * * *", *, name: str = "nightly", **terms: Any) -> Schedule:
        told = {**TERMS, "expression": expression, "arguments": {"left": 1, "right": 2}, **terms}
        return schedules.add(name, told, actor="ann", reason="it is wanted")

    return add
