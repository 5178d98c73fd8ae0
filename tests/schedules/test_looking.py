"""What people see of schedules, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs import schedules
from jobs.models import Schedule, ScheduleTick
from jobs.schedules import keeping
from tests.schedules.test_ticking import end_runs

pytestmark = pytest.mark.django_db

Adds = Callable[..., Schedule]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 3 * * *", "At 03:00"),
        ("@daily", "At 00:00"),
        ("*/15 9-17 * * 1-5", "Every 15 minutes, between 09:00 and 17:59, Monday through Friday"),
        ("0 14 * * sun", "At 14:00, only on Sunday"),
        ("0 0 L * *", "At 00:00, on the last day of the month"),
    ],
)
def test_an_expression_is_told_in_words(expression: str, words: str) -> None:
    assert schedules.in_words(expression) == words


def test_the_next_times_say_when_the_clock_is_set() -> None:
    start = datetime(2026, 10, 23, 12, tzinfo=UTC)
    told = schedules.next_times("30 2 * * *", "Europe/Berlin", 3, after=start)
    assert [(one.at.isoformat(), one.note) for one in told] == [
        ("2026-10-24T02:30:00+02:00", ""),
        ("2026-10-25T02:30:00+02:00", "the first of two that the clock shows"),
        ("2026-10-26T02:30:00+01:00", "clock back 60 min"),
    ]
    told = schedules.next_times("30 2 * * *", "Australia/Lord_Howe", 2, after=datetime(2026, 10, 3, 0, tzinfo=UTC))
    assert [one.note for one in told] == ["clock forward 30 min", ""]


def test_a_list_takes_the_same_queries_however_long_it_is(
    a_schedule: Adds, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number in range(6):
        schedules.run_now(a_schedule(name=f"s{number}"), actor="ann")
    with django_assert_num_queries(5):
        told = schedules.lines()
    assert [(line.schedule.name, line.run_state) for line in told] == [(f"s{number}", "queued") for number in range(6)]
    assert all(len(line.next) == 5 for line in told)


def test_one_that_nobody_looked_at_is_found(a_schedule: Adds) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        a_schedule("0 * * * *")
        clock.shift(timedelta(hours=1, minutes=4))
        assert schedules.findings() == []
        clock.shift(timedelta(minutes=2))
        (found,) = schedules.findings()
        assert (found.kind, str(found)) == (
            "overdue",
            "nightly: due since 2026-05-04 13:00:00 UTC, and no worker has looked",
        )


def test_a_late_run_is_found_until_it_starts(a_schedule: Adds) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        a_schedule("0 * * * *")
        clock.shift(timedelta(hours=1))
        schedules.tick()
        clock.shift(timedelta(minutes=6))
        schedules.tick()
        assert [one.kind for one in schedules.findings()] == ["late"]
        end_runs()
        assert schedules.findings() == []


def test_what_was_missed_is_found_until_the_next_run(a_schedule: Adds) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        a_schedule("0 * * * *", missed="skip")
        clock.shift(timedelta(hours=3, minutes=10))
        schedules.tick()
        (found,) = schedules.findings()
        assert (found.kind, found.words) == (
            "late",
            "due 2026-05-04 13:00:00 UTC: 3 passed while no worker looked",
        )
        clock.move_to(NOON + timedelta(hours=4))
        schedules.tick()
        assert schedules.findings() == []


def test_ticks_go_after_a_month_but_for_the_last_of_each(a_schedule: Adds) -> None:
    schedule = a_schedule()
    old = timezone.now() - keeping.KEPT - timedelta(days=1)
    for days, state in ((0, "asked"), (1, "missed"), (2, "waiting"), (3, "asked")):
        due = old + timedelta(hours=days)
        ScheduleTick.objects.create(schedule=schedule, due_at=due, ticked_at=due, state=state)
    assert schedules.is_anything_prunable()
    assert schedules.prune() == 2
    assert sorted(schedule.ticks.values_list("state", flat=True)) == ["asked", "waiting"]
    assert not schedules.is_anything_prunable()
