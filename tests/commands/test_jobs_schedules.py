"""`jobs_schedules`: what there is, in words, and the verbs of the console from a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command

from jobs import job, schedules, timetable
from jobs.models import AuditEntry, JobRun, Schedule
from jobs.timetable import cron
from tests.schedules.conftest import TERMS

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 10, 23, 12, tzinfo=UTC)


@job(name="tests.commands.charge", sensitive=["card"])
def charge(card: str, amount: int) -> None: ...


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    monkeypatch.setattr(timetable, "_timetable", {})
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs_schedules", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value


def nightly(**terms: object) -> Schedule:
    return schedules.add("nightly", {**TERMS, "arguments": {"left": 1, "right": 2}, **terms}, actor="ann")


def test_without_a_schedule_it_says_how_to_make_one() -> None:
    assert "@cron above @job" in run()


def test_it_lists_in_words_with_the_next_five_times_and_when_the_clock_is_set() -> None:
    nightly(jitter=30, queue="low")
    assert run().splitlines() == [
        "nightly: At 03:00 (0 3 * * *, Europe/Berlin)",
        "    runs   tests.sample.add(left=1, right=2) on low; missed: once, overlap: allow, jitter 30 s",
        "    next   Sat 2026-10-24 03:00 CEST",
        "    next   Sun 2026-10-25 03:00 CET  (clock back 60 min)",
        "    next   Mon 2026-10-26 03:00 CET",
        "    next   Tue 2026-10-27 03:00 CET",
        "    next   Wed 2026-10-28 03:00 CET",
    ]


def test_it_tells_of_the_last_tick_a_pause_and_drift(clock: time_machine.Coordinates) -> None:
    cron("0 3 * * *", name="nightly", timezone="UTC", arguments={"card": "4111", "amount": 3})(charge)
    assert run("--sync").startswith("nightly was added.\n")
    clock.shift(timedelta(days=1))
    schedules.tick()
    schedule = Schedule.objects.get()
    schedules.edit(schedule, {"jitter": 5}, actor="ann", reason="spread")
    run("pause", "nightly", "--reason", "the gateway is away", "--for", "2h")
    told = run()
    assert "card='[redacted]', amount=3" in told
    assert "4111" not in told
    assert "    last   2026-10-24 03:00:00 UTC asked, run queued" in told
    assert "    PAUSED until 2026-10-24 14:00 UTC by jobs_schedules" in told
    assert "    DRIFT  jitter: the code says 0.0, the row says 5.0 since 2026-10-24 12:00 UTC by ann" in told


def test_json_has_one_object_a_line() -> None:
    nightly()
    (line,) = run("--json").splitlines()
    told = json.loads(line)
    assert (told["schedule"], told["words"], told["last"], told["drift"]) == ("nightly", "At 03:00", None, [])
    assert told["next"][1] == {"at": "2026-10-25T03:00:00+01:00", "note": "clock back 60 min"}


def test_check_is_for_monitoring(clock: time_machine.Coordinates) -> None:
    nightly()
    assert run("--check") == "All schedules run, and say what the code says.\n"
    clock.shift(timedelta(days=1))
    error = refused("--check")
    assert (str(error), error.returncode) == ("1 finding.", 1)


def test_check_finds_what_the_code_declares_and_no_row_follows() -> None:
    cron("@hourly", name="hourly")(charge_nobody)
    assert refused("--check").returncode == 1
    run("--sync")
    assert run("--check", "--json") == ""


@job(name="tests.commands.charge_nobody")
def charge_nobody() -> None: ...


def test_it_pauses_resumes_and_runs_now() -> None:
    nightly()
    assert refused("pause", "nightly").returncode == 2
    assert run("pause", "nightly", "--reason", "a look") == "Paused nightly.\n"
    assert refused("pause", "nightly", "--reason", "again").returncode == 1
    assert run("run-now", "nightly", "--reason", "wanted") == f"Asked for run {JobRun.objects.get().pk}.\n"
    assert run("resume", "nightly") == "Resumed nightly: next at 2026-10-24 03:00 CEST.\n"
    actors = AuditEntry.objects.order_by("id").values_list("action", "actor")[1:]
    assert [action for action, actor in actors if actor.startswith("jobs_schedules")] == [
        "pause_schedule",
        "run_schedule",
        "resume_schedule",
    ]


def test_an_unknown_name_is_misuse_with_the_nearest_one() -> None:
    nightly()
    error = refused("run-now", "nightli")
    assert (error.returncode, str(error)) == (2, 'There is no schedule "nightli". Did you mean "nightly"?')
