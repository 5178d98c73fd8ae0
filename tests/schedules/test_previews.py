"""What a schedule would be with other terms is told before anything is changed, and all that is wrong at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from jobs import schedules
from jobs.errors import NotRunnable
from jobs.models import AuditEntry, Schedule, ScheduleTick
from jobs.schedules import operating
from jobs.schedules.previews import Preview, preview
from tests.schedules.conftest import TERMS

pytestmark = pytest.mark.django_db
ASKED = {**TERMS, "arguments": {"left": 1, "right": 2}}


def seen(**told: Any) -> Preview:
    return preview({**ASKED, **told}, now=timezone.now(), name="weekly")


def test_what_can_be_is_shown_with_its_next_times() -> None:
    shown = seen()
    assert not shown.problems
    assert shown.terms is not None
    assert len(shown.next) == 5
    assert {f"{one.at:%H:%M}" for one in shown.next} == {"03:00"}
    assert not Schedule.objects.exists()


def test_all_that_cannot_be_is_said_at_once_each_with_its_cure() -> None:
    shown = preview(
        {
            **ASKED,
            **{"expression": "61 3 * * *", "timezone": "Europe/Berln", "grace": -1.0, "queue": "defalt"},
            **{"job": "tests.sample.ad", "on_late": "tests.sample.shou"},
        },
        now=timezone.now(),
        name="",
    )
    assert shown.terms is None
    assert set(shown.problems) == {"name", "expression", "timezone", "grace", "queue", "job", "on_late"}
    told = {name: " ".join(texts) for name, texts in shown.problems.items()}
    assert "Write five fields" in told["expression"]
    assert 'Did you mean "Europe/Berlin"?' in told["timezone"]
    assert "pass seconds from 0" in told["grace"]
    assert 'Did you mean "default"?' in told["queue"]
    assert "Did you mean" in told["job"]


def test_arguments_that_do_not_fit_the_job_are_said() -> None:
    assert "right" in seen(arguments={"left": 1}).problems["arguments"][0]


def test_a_name_that_is_taken_is_said(a_schedule: Callable[..., Schedule]) -> None:
    a_schedule(name="weekly")
    assert 'There is a schedule "weekly" already' in seen().problems["name"][0]


def test_next_times_are_told_though_something_else_is_wrong() -> None:
    assert len(seen(grace=-1.0).next) == 5


def test_an_edit_shows_what_would_change_masked(a_schedule: Callable[..., Schedule]) -> None:
    schedule = a_schedule()
    Schedule.objects.update(arguments={"left": 1, "right": 2})
    shown = preview({"expression": "0 4 * * *", "jitter": 5.0}, now=timezone.now(), schedule=schedule)
    assert (shown.before, shown.after) == (
        {"expression": "0 3 * * *", "jitter": 0.0},
        {"expression": "0 4 * * *", "jitter": 5.0},
    )


def test_a_second_click_runs_nothing_again(a_schedule: Callable[..., Schedule]) -> None:
    schedule = a_schedule()
    first = schedules.run_now(schedule, actor="ann", seen=0)
    with pytest.raises(NotRunnable, match="ann has run the schedule nightly since you looked"):
        schedules.run_now(schedule, actor="ann", seen=0)
    assert ScheduleTick.objects.count() == AuditEntry.objects.filter(action="run_schedule").count() == 1
    latest = operating.latest_by_hand(schedule, now=timezone.now())
    assert latest == first
    schedules.run_now(schedule, actor="ann", seen=first.pk)
    assert ScheduleTick.objects.count() == 2
