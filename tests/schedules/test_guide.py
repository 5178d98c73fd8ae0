"""What docs/schedules.md shows of testing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

from jobs import schedules
from jobs.models import JobRun, Schedule


@pytest.mark.django_db
def test_the_report_is_written_each_night() -> None:
    with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC), tick=False) as clock:
        terms = {"job": "tests.sample.once", "arguments": {"key": "{day}"}}
        schedules.add("report", {**terms, "expression": "0 3 * * *", "timezone": "Europe/Berlin"}, actor="test")
        clock.move_to(schedules.upcoming(Schedule.objects.get())[0].at)
        schedules.tick()
    assert JobRun.objects.get().arguments == {"key": "2026-05-05"}
