"""What did not start is told, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs import job, schedules
from jobs.models import JobRun, RunState, Schedule, ScheduleTick
from jobs.policy.late_tick import LateTick
from jobs.signals import schedule_late
from tests.schedules.test_ticking import tick_until

# Signals are sent after the commit.
pytestmark = pytest.mark.django_db(transaction=True)

Adds = Callable[..., Schedule]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@job(name="tests.schedules.tell")
def tell(late: LateTick) -> None: ...


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def heard() -> Iterator[list[LateTick]]:
    told: list[LateTick] = []

    def hear(sender: str, facts: LateTick, **kwargs: Any) -> None:
        told.append(facts)

    schedule_late.connect(hear)
    yield told
    schedule_late.disconnect(hear)


def test_a_run_that_does_not_start_is_told_once_in_the_log_by_a_signal_and_to_a_job(
    a_schedule: Adds,
    clock: time_machine.Coordinates,
    heard: list[LateTick],
    caplog: pytest.LogCaptureFixture,
    jobs_settings: Callable[..., Any],
) -> None:
    jobs_settings(SCHEDULE_LATE_AFTER=120, ON_LATE="tests.schedules.tell")
    schedule = a_schedule("0 * * * *", on_late="tests.schedules.tell", timezone="Europe/Berlin")
    tick_until(clock, NOON + timedelta(hours=1, seconds=90))
    assert heard == []
    tick_until(clock, NOON + timedelta(hours=1, minutes=10))
    (facts,) = heard
    run = JobRun.objects.get(name="tests.sample.add")
    assert facts["schedule"] == "nightly"
    assert facts["due"] == "2026-05-04T15:00:00+02:00"
    assert (facts["state"], facts["why"], facts["run_id"]) == ("asked", "its run has not started", str(run.pk))
    assert 120 <= facts["late_seconds"] < 180
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        "schedule nightly did not start what was due at 2026-05-04T15:00:00+02:00: its run has not started"
    ]
    callback = JobRun.objects.get(name="tests.schedules.tell")
    assert callback.payload[0] == [facts]
    assert callback.correlation == "callback of schedule nightly"
    assert schedule.ticks.get().late_told_at is not None


@pytest.mark.parametrize(
    "facts",
    [
        {"state": RunState.RUNNING, "attempts": 1},
        {"state": RunState.RETRYING, "attempts": 2},
        {"state": RunState.SUCCEEDED, "attempts": 1, "ended_at": NOON},
        {"state": RunState.CANCELLED, "attempts": 0, "ended_at": NOON},
        {"state": RunState.QUEUED, "attempts": 0, "life": 1},
    ],
)
def test_a_run_that_has_started_or_was_taken_back_is_not_late(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick], facts: dict[str, Any]
) -> None:
    schedule = a_schedule("0 * * * *")
    tick_until(clock, NOON + timedelta(hours=1, seconds=30))
    JobRun.objects.update(**facts)
    tick_until(clock, NOON + timedelta(hours=1, minutes=10))
    assert heard == []
    tick = schedule.ticks.get()
    assert (tick.late_at, tick.late_told_at) == (None, None)


def test_jitter_is_no_lateness(a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]) -> None:
    schedule = a_schedule("0 * * * *", jitter=1200, late_after=60)
    tick_until(clock, NOON + timedelta(hours=1, seconds=30))
    due = JobRun.objects.get().due_at
    assert due is not None
    tick_until(clock, due + timedelta(seconds=30))
    assert heard == []
    tick_until(clock, due + timedelta(seconds=120))
    assert [facts["schedule"] for facts in heard] == [schedule.name]


def test_when_all_tickers_were_away_the_miss_is_told_on_their_return(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]
) -> None:
    a_schedule("0 * * * *")
    clock.move_to(NOON + timedelta(hours=3, seconds=5))
    schedules.tick()
    (facts,) = heard
    assert (facts["state"], facts["count"], facts["run_id"]) == ("missed", 2, "")
    assert facts["until"] > facts["due"]
    assert JobRun.objects.count() == 1


def test_a_single_due_time_that_was_looked_at_late_is_told_and_run_all_the_same(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]
) -> None:
    a_schedule("0 13 * * *", timezone="UTC")
    clock.move_to(NOON + timedelta(hours=4))
    schedules.tick()
    (facts,) = heard
    assert facts["why"] == "no worker looked in time; its run was asked for at 2026-05-04 16:00:00 UTC"
    assert facts["run_id"] == str(JobRun.objects.get().pk)
    tick_until(clock, NOON + timedelta(hours=5))
    assert len(heard) == 1


def test_a_short_absence_is_missed_and_not_late(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]
) -> None:
    schedule = a_schedule("* * * * *")
    clock.move_to(NOON + timedelta(minutes=3, seconds=5))
    schedules.tick()
    assert schedule.ticks.get(state="missed").count == 2
    assert heard == []


def test_one_that_waits_for_the_run_before_it_is_told_once(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]
) -> None:
    a_schedule("0 * * * *", overlap="queue")
    tick_until(clock, NOON + timedelta(hours=1, seconds=30))
    JobRun.objects.update(state=RunState.RUNNING, attempts=1, started_at=timezone.now())
    tick_until(clock, NOON + timedelta(hours=2, minutes=20))
    (facts,) = heard
    assert (facts["state"], facts["run_id"]) == ("waiting", "")
    assert "is pending" in facts["why"]
    JobRun.objects.update(state=RunState.SUCCEEDED, ended_at=timezone.now())
    tick_until(clock, NOON + timedelta(hours=2, minutes=50))
    assert JobRun.objects.count() == 2
    assert len(heard) == 1


def test_who_waited_briefly_has_its_time_from_when_it_was_asked_for(
    a_schedule: Adds, clock: time_machine.Coordinates, heard: list[LateTick]
) -> None:
    a_schedule("0 * * * *", overlap="queue", late_after=600)
    tick_until(clock, NOON + timedelta(hours=1, seconds=30))
    JobRun.objects.update(state=RunState.RUNNING, attempts=1, started_at=timezone.now())
    tick_until(clock, NOON + timedelta(hours=2, minutes=9))
    JobRun.objects.update(state=RunState.SUCCEEDED, ended_at=timezone.now())
    tick_until(clock, NOON + timedelta(hours=2, minutes=18))
    assert heard == []
    tick_until(clock, NOON + timedelta(hours=2, minutes=20))
    assert [facts["why"] for facts in heard] == ["its run has not started"]


def test_a_callback_that_is_no_job_is_logged_and_keeps_nothing_back(
    a_schedule: Adds,
    clock: time_machine.Coordinates,
    heard: list[LateTick],
    caplog: pytest.LogCaptureFixture,
    jobs_settings: Callable[..., Any],
) -> None:
    jobs_settings(ON_LATE="tests.schedules.nobody")
    a_schedule("0 * * * *")
    clock.move_to(NOON + timedelta(hours=3))
    schedules.tick()
    assert "the callback tests.schedules.nobody cannot be enqueued" in caplog.text
    assert len(heard) == 1
    assert ScheduleTick.objects.filter(state="asked").count() == 1
