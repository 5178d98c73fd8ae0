"""What comes of due times. The clock is arranged, and the ticker is the real one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from jobs import failpoints, job, schedules
from jobs.failpoints import Failpoint
from jobs.models import AuditEntry, JobRun, RunState, Schedule, ScheduleTick
from jobs.models.runs import ENDED_STATES
from jobs.schedules import ticking

pytestmark = pytest.mark.django_db

Adds = Callable[..., Schedule]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@job(name="tests.schedules.note_day", unique="args")
def note_day(day: str) -> None: ...


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def tick_until(clock: time_machine.Coordinates, end: datetime, *, step: timedelta = timedelta(seconds=30)) -> None:
    while timezone.now() < end:
        clock.shift(step)
        schedules.tick()


def states(schedule: Schedule) -> dict[str, int]:
    return dict(Counter(schedule.ticks.values_list("state", flat=True)))


def end_runs(**facts: object) -> None:
    """As the recorder does."""
    JobRun.objects.exclude(state__in=ENDED_STATES).update(
        state=RunState.SUCCEEDED, ended_at=timezone.now(), started_at=timezone.now(), attempts=1, **facts
    )


def dues(schedule: Schedule) -> list[datetime]:
    return list(schedule.ticks.order_by("due_at").values_list("due_at", flat=True))


# Each due time runs once.


def test_a_due_time_has_one_tick_and_one_run_however_often_it_is_looked_at(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/5 * * * *")
    for _ in range(3):
        schedules.tick()
    assert not JobRun.objects.exists()
    clock.move_to(NOON + timedelta(minutes=5))
    for _ in range(3):
        schedules.tick()
    tick = schedule.ticks.get()
    run = JobRun.objects.get()
    assert (tick.due_at, tick.state, tick.run) == (NOON + timedelta(minutes=5), "asked", run.pk)
    assert (run.name, run.arguments, run.queue) == ("tests.sample.add", {"left": 1, "right": 2}, "default")
    schedule.refresh_from_db()
    assert (schedule.last_due_at, schedule.next_due_at) == (tick.due_at, NOON + timedelta(minutes=10))


def test_a_day_of_a_schedule_has_as_many_runs_as_due_times(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    schedule = a_schedule("*/30 * * * *")
    tick_until(clock, NOON + timedelta(hours=6), step=timedelta(seconds=211))
    assert states(schedule) == {"asked": 12}
    assert JobRun.objects.count() == 12


def test_a_ticker_is_told_when_to_look_next(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    assert schedules.tick() == 1
    a_schedule("*/5 * * * *")
    clock.move_to(NOON + timedelta(minutes=4, seconds=59.75))
    assert schedules.tick() == pytest.approx(0.25)


def test_an_idle_look_is_one_query(
    a_schedule: Adds, clock: time_machine.Coordinates, django_assert_num_queries: Callable[[int], object]
) -> None:
    a_schedule()
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        schedules.tick()


def test_a_run_goes_to_the_queue_of_the_schedule(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    a_schedule("*/5 * * * *", queue="low")
    clock.shift(timedelta(minutes=5))
    schedules.tick()
    assert JobRun.objects.get().queue == "low"


def test_a_run_may_be_told_the_time_for_which_it_was_asked(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    a_schedule("0 3 * * *", job="tests.schedules.note_day", arguments={"day": "{day}"}, missed="all", most_missed=9)
    clock.shift(timedelta(days=3))
    schedules.tick()
    assert sorted(run.arguments["day"] for run in JobRun.objects.all()) == ["2026-05-05", "2026-05-06", "2026-05-07"]


def test_an_equal_run_of_a_unique_job_makes_the_tick_a_skipped_one(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("0 * * * *", job="tests.schedules.note_day", arguments={"day": "{day}"})
    tick_until(clock, NOON + timedelta(hours=2), step=timedelta(hours=1))
    first, second = schedule.ticks.order_by("due_at")
    assert (first.state, second.state, second.run) == ("asked", "skipped", first.run)
    assert "unique" in second.why


def test_jitter_puts_the_run_later_and_is_the_same_for_all(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    schedule = a_schedule("*/5 * * * *", jitter=120)
    clock.shift(timedelta(minutes=5))
    schedules.tick()
    due = JobRun.objects.get().due_at
    assert due is not None
    assert NOON < due < NOON + timedelta(minutes=7)
    ScheduleTick.objects.all().delete()
    JobRun.objects.all().delete()
    Schedule.objects.update(next_due_at=NOON + timedelta(minutes=5), last_due_at=None, look_at=NOON)
    schedules.tick()
    assert JobRun.objects.get().due_at == due
    assert schedule.ticks.get().due_at == NOON + timedelta(minutes=5)


# Whatever dies, and whatever the clocks do.


@pytest.mark.parametrize("place", ["after_tick", "before_tick_commit"])
def test_who_dies_between_two_statements_has_done_nothing_and_the_next_does_it(
    a_schedule: Adds, clock: time_machine.Coordinates, place: str
) -> None:
    schedule = a_schedule("*/5 * * * *")
    clock.shift(timedelta(minutes=5))

    def die() -> None:
        raise Failpoint(place)

    failpoints.arm(place, die)
    try:
        schedules.tick()
    finally:
        failpoints.disarm()
    assert not ScheduleTick.objects.exists()
    assert not JobRun.objects.exists()
    schedules.tick()
    assert states(schedule) == {"asked": 1}
    assert JobRun.objects.count() == 1


def test_a_clock_that_is_set_back_runs_nothing_twice(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    schedule = a_schedule("*/10 * * * *")
    tick_until(clock, NOON + timedelta(hours=1))
    clock.move_to(NOON + timedelta(minutes=5))
    tick_until(clock, NOON + timedelta(hours=2))
    assert dues(schedule) == [NOON + timedelta(minutes=10 * number) for number in range(1, 13)]
    assert JobRun.objects.count() == 12


def test_neither_does_one_that_is_resumed_or_edited_under_such_a_clock(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/10 * * * *")
    tick_until(clock, NOON + timedelta(hours=1))
    clock.move_to(NOON + timedelta(minutes=5))
    schedules.pause(schedule, actor="ann", reason="a look")
    schedules.resume(schedule, actor="ann")
    schedules.edit(schedule, {"expression": "*/5 * * * *"}, actor="ann", reason="more often")
    tick_until(clock, NOON + timedelta(minutes=70))
    assert len(dues(schedule)) == len(set(dues(schedule))) == JobRun.objects.count() == 6 + 2


def test_a_tick_that_is_there_stands_for_its_run_whatever_the_row_says(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/10 * * * *")
    tick_until(clock, NOON + timedelta(minutes=10))
    Schedule.objects.update(next_due_at=NOON + timedelta(minutes=10), look_at=NOON, last_due_at=None)
    schedules.tick()
    assert JobRun.objects.count() == 1
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + timedelta(minutes=20)


# Missed.

HOURS = 3
# Every 10 minutes over 3 hours: 18 due times, the latest of them now.


@pytest.mark.parametrize(
    ("terms", "runs"),
    [
        ({"missed": "once"}, 1),
        ({"missed": "skip"}, 1),
        ({"missed": "all", "most_missed": 5}, 5),
        ({"missed": "all", "most_missed": 100}, 18),
    ],
)
@pytest.mark.parametrize("overlap", ["allow", "skip", "queue"])
def test_a_pause_of_all_workers_has_the_runs_that_the_policies_say(
    a_schedule: Adds, clock: time_machine.Coordinates, terms: dict[str, object], runs: int, overlap: str
) -> None:
    schedule = a_schedule("*/10 * * * *", overlap=overlap, most_waiting=3, **terms)
    clock.shift(timedelta(hours=HOURS))
    schedules.tick()
    # The first of them is pending when the others come.
    asked = {"allow": runs, "skip": 1, "queue": 1}[overlap]
    waiting = min(runs - 1, 3) if overlap == "queue" else 0
    skipped = runs - asked - waiting
    expected = {"asked": asked, "waiting": waiting, "skipped": skipped, "missed": 1 if runs < 18 else 0}
    assert states(schedule) == {state: count for state, count in expected.items() if count}
    assert JobRun.objects.count() == asked
    for _ in range(5):
        end_runs()
        clock.shift(timedelta(seconds=2))
        schedules.tick()
    assert JobRun.objects.count() == asked + waiting
    missed = schedule.ticks.filter(state="missed").first()
    if missed is not None:
        assert missed.count == 18 - runs
        assert missed.due_at == NOON + timedelta(minutes=10)
        assert missed.until_at == NOON + timedelta(minutes=10 * (18 - runs))


def test_who_skips_what_was_missed_runs_nothing_that_is_older_than_its_grace(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("0 * * * *", missed="skip", grace=300)
    clock.move_to(NOON + timedelta(hours=1, seconds=300))
    schedules.tick()
    assert states(schedule) == {"asked": 1}
    clock.move_to(NOON + timedelta(hours=2, seconds=301))
    schedules.tick()
    assert states(schedule) == {"asked": 1, "missed": 1}
    clock.move_to(NOON + timedelta(hours=5, seconds=301))
    schedules.tick()
    assert [tick.count for tick in schedule.ticks.filter(state="missed").order_by("due_at")] == [1, 3]
    assert JobRun.objects.count() == 1


def test_of_very_many_missed_the_latest_still_run(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    schedule = a_schedule("* * * * *", missed="all", most_missed=2)
    clock.shift(timedelta(days=30))
    schedules.tick()
    missed = schedule.ticks.get(state="missed")
    assert missed.why == "at least 9998 passed while no worker looked"
    assert [tick.due_at for tick in schedule.ticks.filter(state="asked")] == [
        timezone.now(),
        timezone.now() - timedelta(minutes=1),
    ]


# Overlap.


def test_a_due_time_waits_until_the_run_before_it_has_ended_and_none_is_lost(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/10 * * * *", overlap="queue")
    tick_until(clock, NOON + timedelta(minutes=30))
    assert states(schedule) == {"asked": 1, "waiting": 2}
    for asked in (2, 3):
        end_runs()
        clock.shift(timedelta(seconds=1))
        schedules.tick()
        assert states(schedule).get("asked") == asked
        assert JobRun.objects.filter(state="queued").count() == 1
    end_runs()
    assert [tick.due_at for tick in schedule.ticks.order_by("asked_at")] == dues(schedule)


def test_what_waits_goes_on_waiting_while_the_schedule_is_paused(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/10 * * * *", overlap="queue")
    tick_until(clock, NOON + timedelta(minutes=20))
    schedules.pause(schedule, actor="ann", reason="a look")
    end_runs()
    tick_until(clock, NOON + timedelta(minutes=40))
    assert states(schedule) == {"asked": 1, "waiting": 1}
    schedules.resume(schedule, actor="ann")
    clock.shift(timedelta(seconds=2))
    schedules.tick()
    assert states(schedule) == {"asked": 2}


def test_a_run_that_was_retried_by_a_person_is_pending_too(a_schedule: Adds, clock: time_machine.Coordinates) -> None:
    schedule = a_schedule("*/10 * * * *", overlap="skip")
    tick_until(clock, NOON + timedelta(minutes=10))
    end_runs()
    JobRun.objects.update(state=RunState.QUEUED, ended_at=None, life=1)
    tick_until(clock, NOON + timedelta(minutes=20))
    assert states(schedule) == {"asked": 1, "skipped": 1}
    assert "is pending" in schedule.ticks.get(state="skipped").why


# Pauses.


def test_a_pause_leaves_out_what_comes_due_and_ends_by_itself(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    schedule = a_schedule("*/10 * * * *")
    until = NOON + timedelta(minutes=30)
    schedules.pause(schedule, actor="ann", reason="a migration", until=until)
    tick_until(clock, NOON + timedelta(minutes=29, seconds=30))
    assert not schedule.ticks.exists()
    tick_until(clock, NOON + timedelta(minutes=41))
    assert dues(schedule) == [until, NOON + timedelta(minutes=40)]
    schedule.refresh_from_db()
    assert (schedule.paused_at, schedule.paused_by) == (None, "")
    assert AuditEntry.objects.get(action="resume_schedule").actor == "the end of the pause"


@pytest.mark.parametrize("verb", ["pause", "edit"])
def test_what_was_due_and_not_looked_at_is_written_down_when_the_schedule_changes(
    a_schedule: Adds, clock: time_machine.Coordinates, verb: str
) -> None:
    schedule = a_schedule("0 * * * *", timezone="UTC")
    clock.move_to(NOON + timedelta(hours=3, minutes=10))
    if verb == "pause":
        schedules.pause(schedule, actor="ann", reason="a look")
    else:
        schedules.edit(schedule, {"expression": "30 * * * *"}, actor="ann", reason="later")
    tick = schedule.ticks.get()
    assert (tick.state, tick.count, tick.due_at) == ("missed", 3, NOON + timedelta(hours=1))
    assert "before a worker looked" in tick.why
    schedules.tick()
    tick.refresh_from_db()
    assert tick.late_told_at is not None
    assert not JobRun.objects.exists()


# What cannot be asked for.


def test_what_this_code_does_not_know_is_left_to_other_workers_and_fails_when_it_is_late(
    a_schedule: Adds, clock: time_machine.Coordinates, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = a_schedule("0 * * * *")
    Schedule.objects.update(job="tests.of.the.new.release")
    tick_until(clock, NOON + timedelta(hours=1, minutes=4))
    assert not schedule.ticks.exists()
    assert caplog.text.count("left to workers with other code") == 1
    tick_until(clock, NOON + timedelta(hours=1, minutes=6))
    tick = schedule.ticks.get()
    assert (tick.state, tick.run) == ("failed", None)
    assert "No job is named" in tick.why
    assert tick.late_told_at is not None
    schedule.refresh_from_db()
    assert schedule.next_due_at == NOON + timedelta(hours=2)


def test_a_schedule_that_cannot_be_looked_at_keeps_no_other_back(
    a_schedule: Adds, clock: time_machine.Coordinates
) -> None:
    a_schedule("*/10 * * * *", name="first")
    Schedule.objects.update(timezone="Nowhere/At_All")
    other = a_schedule("*/10 * * * *", name="second")
    tick_until(clock, NOON + timedelta(minutes=10))
    assert states(other) == {"asked": 1}


def test_neither_does_one_that_fails_again_when_that_is_to_be_written_down(
    a_schedule: Adds,
    clock: time_machine.Coordinates,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("no")

    a_schedule("*/10 * * * *", name="first")
    Schedule.objects.update(timezone="Nowhere/At_All")
    other = a_schedule("*/10 * * * *", name="second")
    monkeypatch.setattr(ticking, "_put_off", fail)
    monkeypatch.setattr(ticking, "_left", {})
    tick_until(clock, NOON + timedelta(minutes=10, seconds=30))
    assert states(other) == {"asked": 1}
    # Looked at each second, it is told of once.
    assert caplog.text.count("could not be looked at") == 1


# Both days on which clocks are set.


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("30 2 * * *", datetime(2026, 3, 28, 23, tzinfo=UTC), ["2026-03-29T01:00"]),
        ("30 2 * * *", datetime(2026, 10, 24, 22, tzinfo=UTC), ["2026-10-25T00:30"]),
        ("0 */6 * * *", datetime(2026, 10, 24, 22, tzinfo=UTC), ["05:00", "11:00", "17:00", "23:00"]),
    ],
)
def test_on_both_days_a_ticker_runs_each_due_time_once(
    a_schedule: Adds, expression: str, day: datetime, expected: list[str]
) -> None:
    with time_machine.travel(day, tick=False) as clock:
        schedule = a_schedule(expression)
        end = day + timedelta(hours=25 if day.month == 10 else 23)
        tick_until(clock, end, step=timedelta(minutes=5))
        told = [due.strftime("%Y-%m-%dT%H:%M") for due in dues(schedule)]
    assert [one[-len(wanted) :] for one, wanted in itertools.zip_longest(told, expected, fillvalue="")] == expected
    assert JobRun.objects.count() == len(expected)


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 3, 28, 23, tzinfo=UTC), 23), (datetime(2026, 10, 24, 22, tzinfo=UTC), 25)]
)
def test_on_both_days_an_interval_runs_by_the_time_that_passes(a_schedule: Adds, day: datetime, hours: int) -> None:
    with time_machine.travel(day, tick=False) as clock:
        schedule = a_schedule("*/30 * * * *")
        tick_until(clock, day + timedelta(hours=hours), step=timedelta(minutes=10))
        assert dues(schedule) == [day + timedelta(minutes=30 * number) for number in range(1, 2 * hours + 1)]
    assert JobRun.objects.count() == 2 * hours
