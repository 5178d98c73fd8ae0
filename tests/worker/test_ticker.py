"""The thread that ticks: it waits for nobody, and no failure ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError

from jobs import schedules, timetable
from jobs.models import JobRun, Schedule, ScheduleCode
from jobs.timetable import cron
from jobs.worker.recording import Recording
from jobs.worker.ticker import Ticker
from tests.sample import jobs as sample
from tests.schedules.conftest import TERMS

# It closes connections, as in a process of its own.
pytestmark = pytest.mark.django_db(transaction=True)


def test_a_turn_lets_rows_follow_the_code_and_asks_for_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "_timetable", {})
    cron("0 * * * *", name="hourly", timezone="UTC", arguments={"left": 1, "right": 2})(sample.add)
    with time_machine.travel(datetime(2026, 5, 4, 12, 30, tzinfo=UTC), tick=False) as clock:
        one = Ticker()
        assert one.turn() == 1
        assert Schedule.objects.get().name == "hourly"
        clock.shift(timedelta(minutes=30))
        one.turn()
    assert JobRun.objects.count() == 1


def test_a_process_says_now_and_then_that_its_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "_timetable", {})
    cron("0 * * * *", name="hourly", arguments={"left": 1, "right": 2})(sample.add)
    one = Ticker()
    with time_machine.travel(datetime(2026, 5, 4, 12, tzinfo=UTC), tick=False) as clock:
        one.turn()
        clock.shift(timedelta(seconds=61))
        one.turn()
        assert ScheduleCode.objects.get().seen_at.minute == 0
        # The clock that it waits by goes on whatever the calendar says.
        one._follow_at = 0.0
        one.turn()
        assert ScheduleCode.objects.get().seen_at.minute == 1


def test_what_is_due_is_asked_for_whatever_keeps_rows_from_following_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[str]:
        raise ValueError("a row that was edited by hand")

    monkeypatch.setattr(schedules, "follow_code", fail)
    with time_machine.travel(datetime(2026, 5, 4, 12, 30, tzinfo=UTC), tick=False) as clock:
        schedules.add("hourly", {**TERMS, "expression": "0 * * * *", "arguments": {"left": 1, "right": 2}}, actor="ann")
        clock.shift(timedelta(hours=1))
        Ticker().turn()
    assert JobRun.objects.count() == 1


def test_an_outage_is_told_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> float:
        raise OperationalError("the database is away")

    one = Ticker()
    with monkeypatch.context() as broken:
        broken.setattr(schedules, "tick", fail)
        waits = [one.turn() for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[-1] == 5
    assert one.turn() <= 1
    told = [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert told == [
        "schedules are not looked at for now: the database is away",
        "schedules are looked at again",
    ]


def test_redis_may_be_away(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    with time_machine.travel(datetime(2026, 5, 4, 12, 30, tzinfo=UTC), tick=False) as clock:
        schedules.add("hourly", {**TERMS, "expression": "0 * * * *", "arguments": {"left": 1, "right": 2}}, actor="ann")
        clock.shift(timedelta(hours=1))
        settings.RQ_QUEUES = {
            name: {**options, "URL": "redis://127.0.0.1:1/0"} for name, options in settings.RQ_QUEUES.items()
        }
        Ticker().turn()
    assert JobRun.objects.get().pushed_at is None


@pytest.mark.parametrize("on", [True, False])
def test_a_copy_of_production_may_be_told_not_to_tick(
    monkeypatch: pytest.MonkeyPatch, jobs_settings: Callable[..., Any], on: bool
) -> None:
    jobs_settings(SCHEDULES=on)
    ticked = threading.Event()
    monkeypatch.setattr(schedules, "tick", lambda: ticked.set() or 1.0)
    monkeypatch.setattr(schedules, "follow_code", list)
    monkeypatch.setattr("jobs.worker.recording.on_stop", lambda handler: None)
    process = Recording()
    monkeypatch.setattr(process, "turn", lambda: (on and ticked.wait(10), process._on_stop(15, None)))
    process.run()
    assert ticked.is_set() is on
