"""Rows follow what the code declares, whatever else runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from jobs import checks, job, schedules, timetable
from jobs.models import AuditEntry, Schedule, ScheduleCode, ScheduleEdit
from jobs.registry import Job
from jobs.timetable import cron

pytestmark = pytest.mark.django_db

Adds = Callable[..., Schedule]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@job(name="tests.schedules.report")
def report(kind: str = "short") -> None: ...


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this process one of a release that declares these: `release(daily="0 3 * * *")`."""

    def become(**expressions: Any) -> None:
        monkeypatch.setattr(timetable, "_timetable", {})
        for name, said in expressions.items():
            terms = said if isinstance(said, dict) else {"expression": said}
            cron(**{"timezone": "UTC", **terms, "name": name})(report)

    return become


def now_said() -> dict[str, str]:
    return dict(Schedule.objects.filter(paused_at__isnull=True).values_list("name", "expression"))


def test_what_the_code_declares_becomes_rows_that_are_due_from_then_on(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *", hourly="@hourly")
    assert schedules.follow_code() == ["daily was added", "hourly was added"]
    assert now_said() == {"daily": "0 3 * * *", "hourly": "@hourly"}
    daily = Schedule.objects.get(name="daily")
    assert (daily.by_code, daily.next_due_at) == (True, datetime(2026, 5, 5, 3, tzinfo=UTC))
    assert AuditEntry.objects.filter(action="add_schedule", actor="the code").count() == 2
    assert schedules.drift(daily) == []


def test_code_without_schedules_writes_nothing(django_assert_num_queries: Callable[[int], Any]) -> None:
    with django_assert_num_queries(1):
        assert schedules.follow_code() == []
    assert not ScheduleCode.objects.exists()


def test_a_change_in_the_code_is_followed_and_written_down(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    release(daily={"expression": "0 4 * * *", "jitter": 60})
    assert schedules.follow_code() == ["daily was changed: expression, jitter"]
    daily = Schedule.objects.get()
    assert (daily.expression, daily.jitter, daily.next_due_at) == ("0 4 * * *", 60, datetime(2026, 5, 5, 4, tzinfo=UTC))
    edit = ScheduleEdit.objects.get(action="follow")
    assert (edit.before, edit.after["expression"]) == ({"expression": "0 3 * * *", "jitter": 0}, "0 4 * * *")


def test_a_second_look_of_the_same_code_changes_nothing(
    release: Callable[..., None], clock: time_machine.Coordinates
) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    before = list(Schedule.objects.values())
    clock.shift(timedelta(hours=1))
    assert schedules.follow_code() == []
    assert schedules.sync(actor="ann") == []
    assert list(Schedule.objects.values()) == before


def test_a_row_that_cannot_follow_keeps_no_other_from_it(
    release: Callable[..., None], clock: time_machine.Coordinates
) -> None:
    release(broken="0 3 * * *", daily="0 3 * * *")
    schedules.follow_code()
    # As somebody left it who edited the table by hand.
    Schedule.objects.filter(name="broken").update(edited=["expression"])
    clock.shift(timedelta(minutes=1))
    release(broken="0 4 * * *", daily="0 4 * * *")
    told = schedules.follow_code()
    assert Schedule.objects.get(name="daily").expression == "0 4 * * *"
    assert any(words.startswith("broken does not follow the code") for words in told)
    # It is tried again until it can.
    Schedule.objects.filter(name="broken").update(edited={})
    schedules.follow_code()
    assert Schedule.objects.get(name="broken").expression == "0 4 * * *"
    assert schedules.follow_code() == []


def test_what_a_person_changed_stays_and_shows_as_drift(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    daily = Schedule.objects.get()
    schedules.edit(daily, {"expression": "0 5 * * *"}, actor="ann", reason="the export takes until four")
    release(daily={"expression": "0 4 * * *", "jitter": 60})
    assert schedules.follow_code() == ["daily was changed: jitter"]
    daily.refresh_from_db()
    assert (daily.expression, daily.jitter) == ("0 5 * * *", 60)
    (drift,) = schedules.drift(daily)
    assert str(drift) == (
        "expression: the code says '0 4 * * *', the row says '0 5 * * *' since 2026-05-04 12:00 UTC by ann"
    )
    # The code comes to say the same: from then on the row follows it again.
    release(daily={"expression": "0 5 * * *", "jitter": 60})
    schedules.follow_code()
    release(daily={"expression": "0 6 * * *", "jitter": 60})
    schedules.follow_code()
    daily.refresh_from_db()
    assert (daily.expression, schedules.drift(daily)) == ("0 6 * * *", [])


def test_an_edit_that_is_had_back_is_no_drift(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    daily = Schedule.objects.get()
    edit = schedules.edit(daily, {"expression": "0 5 * * *"}, actor="ann", reason="later")
    assert edit is not None
    schedules.revert(edit, actor="bob")
    daily.refresh_from_db()
    assert (daily.edited, schedules.drift(daily)) == ({}, [])


def test_what_leaves_the_code_is_paused_and_not_deleted_and_goes_on_when_it_is_back(
    release: Callable[..., None], clock: time_machine.Coordinates
) -> None:
    release(daily="0 3 * * *", hourly="@hourly")
    schedules.follow_code()
    release(hourly="@hourly")
    assert schedules.follow_code() == ["daily is not in the code any more, and was paused"]
    daily = Schedule.objects.get(name="daily")
    assert (daily.next_due_at, daily.paused_reason) == (None, "not in the code any more")
    with pytest.raises(schedules_error("NotResumable")):
        schedules.resume(daily, actor="ann")
    clock.shift(timedelta(days=3))
    release(daily="0 3 * * *", hourly="@hourly")
    schedules.sync(actor="deploy")
    daily.refresh_from_db()
    assert (daily.paused_at, daily.left_code_at) == (None, None)
    assert daily.next_due_at == datetime(2026, 5, 8, 3, tzinfo=UTC)


def test_what_left_the_code_can_be_removed_and_what_is_in_it_cannot(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    daily = Schedule.objects.get()
    with pytest.raises(schedules_error("NotRemovable")):
        schedules.remove(daily, actor="ann", reason="over")
    release(hourly="@hourly")
    schedules.follow_code()
    schedules.remove(daily, actor="ann", reason="over")
    assert list(now_said()) == ["hourly"]


def test_what_a_person_paused_stays_paused_when_the_code_has_it_again(release: Callable[..., None]) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    schedules.pause(Schedule.objects.get(), actor="ann", reason="a look")
    release(other="0 3 * * *")
    schedules.follow_code()
    release(daily="0 3 * * *")
    schedules.sync(actor="deploy")
    assert Schedule.objects.get(name="daily").paused_by == "ann"


def test_a_schedule_of_a_person_that_the_code_declares_too_keeps_what_the_person_said(
    release: Callable[..., None],
) -> None:
    terms = {"job": report.name, "expression": "0 5 * * *", "timezone": "UTC"}
    schedules.add("daily", terms, actor="ann")
    release(daily="0 3 * * *")
    schedules.follow_code()
    daily = Schedule.objects.get()
    assert (daily.by_code, daily.expression) == (True, "0 5 * * *")
    assert [one.by for one in schedules.drift(daily)] == ["ann"]


# Two releases at once.


def test_an_old_release_beside_a_new_one_changes_nothing_back(
    release: Callable[..., None], clock: time_machine.Coordinates
) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    release(daily="0 4 * * *")
    schedules.follow_code()
    for _ in range(5):
        clock.shift(timedelta(minutes=1))
        release(daily="0 3 * * *")
        assert schedules.follow_code() == []
        release(daily="0 4 * * *")
        assert schedules.follow_code() == []
    assert now_said() == {"daily": "0 4 * * *"}
    assert ScheduleEdit.objects.filter(action="follow").count() == 1


def test_after_a_roll_back_rows_follow_the_old_code_once_the_new_one_is_gone(
    release: Callable[..., None], clock: time_machine.Coordinates
) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    release(daily="0 4 * * *")
    schedules.follow_code()
    release(daily="0 3 * * *")
    clock.shift(timedelta(minutes=2))
    assert schedules.follow_code() == []
    clock.shift(timedelta(minutes=2))
    assert schedules.follow_code() == ["daily was changed: expression"]
    assert now_said() == {"daily": "0 3 * * *"}


def test_after_a_roll_back_a_person_can_have_it_at_once_and_the_new_code_does_not_take_it_back(
    release: Callable[..., None],
) -> None:
    release(daily="0 3 * * *")
    schedules.follow_code()
    release(daily="0 4 * * *")
    schedules.follow_code()
    release(daily="0 3 * * *")
    assert schedules.sync(actor="ann") == ["daily was changed: expression"]
    release(daily="0 4 * * *")
    assert schedules.follow_code() == []
    assert now_said() == {"daily": "0 3 * * *"}


# @cron.


def test_cron_gives_the_job_back_and_stacks() -> None:
    made = cron("0 3 * * *", name="nightly", arguments={"kind": "long"})(cron("@hourly")(report))
    assert made is report
    assert isinstance(made, Job)
    assert sorted(timetable.declared()) == ["nightly", "tests.schedules.report"]
    assert timetable.declared()["nightly"].arguments == {"kind": "long"}


def test_the_time_zone_of_the_project_is_the_default(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Kolkata"
    cron("@hourly")(report)
    assert timetable.declared()[report.name].timezone == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("expression", "options", "told"),
    [
        ("0 3 * *", {}, "@cron of tests.schedules.report: .*five fields"),
        ("@hourly", {"timezone": "Berlin"}, "There is no time zone"),
        ("@hourly", {"arguments": {"knd": "long"}}, "do not fit tests.schedules.report"),
        ("@hourly", {"arguments": {"kind": object()}}, "plain JSON"),
        ("@hourly", {"missed": "all"}, r"all_up_to\(24\)"),
        ("@hourly", {"missed": "twice"}, "skip, once, all"),
        ("@hourly", {"overlap": "wait"}, "allow, skip, queue"),
        ("@hourly", {"jitter": timedelta(days=2)}, "jitter=172800.0: pass seconds from 0 to 86400"),
        ("@hourly", {"late_after": "soon"}, "seconds from 1"),
        ("@hourly", {"name": ""}, "printable text"),
        ("@hourly", {"on_late": 3}, "pass a job, or the name of one"),
    ],
)
def test_what_cannot_be_is_refused_when_the_module_is_imported(
    expression: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(schedules_error("BadSchedule"), match=told):
        cron(expression, **options)(report)
    assert timetable.declared() == {}


def test_cron_below_job_is_told_where_it_goes() -> None:
    with pytest.raises(schedules_error("BadSchedule"), match="write it above @job"):
        cron("@hourly")(lambda: None)  # type: ignore[type-var]


def test_a_second_schedule_of_a_job_needs_a_name() -> None:
    cron("@hourly")(report)
    with pytest.raises(schedules_error("BadSchedule"), match="Two schedules are named"):
        cron("@daily")(report)


def test_a_module_that_is_imported_anew_replaces_its_schedules() -> None:
    cron("@hourly")(report)
    cron("@daily")(job(name=report.name)(report.function))
    assert timetable.declared()[report.name].expression == "@daily"


def schedules_error(name: str) -> type[Exception]:
    from jobs import errors

    found: type[Exception] = getattr(errors, name)
    return found


# The system checks.


def checked() -> dict[str, str]:
    return {one.id: f"{one.msg} {one.hint or ''}" for one in checks.check_settings()}


def test_a_queue_that_a_schedule_goes_to_must_be_there() -> None:
    cron("@hourly", queue="lwo")(report)
    assert 'Did you mean "low"' in checked()["jobs.E012"]


def test_a_callback_for_late_ones_must_be_a_job_of_one_argument(jobs_settings: Callable[..., Any]) -> None:
    cron("@hourly", on_late="tests.schedules.nobody")(report)
    assert 'on_late of the schedule tests.schedules.report names "tests.schedules.nobody"' in checked()["jobs.E010"]
    cron("@hourly", name="second", on_late=report)(report)
    jobs_settings(ON_LATE="tests.schedules.nobody_else")
    assert "nobody_else" in " ".join(str(one.msg) for one in checks.check_settings())


def test_the_time_zone_of_the_project_must_be_known(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cron("@hourly")(report)
    monkeypatch.setattr(timetable, "settings", SimpleNamespace(TIME_ZONE="Nowhere/At_All"))
    assert "Nowhere/At_All" in checked()["jobs.E012"]
