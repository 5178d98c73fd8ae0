"""How far runs are, in a terminal."""

from __future__ import annotations

import json
import uuid
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from jobs.management.commands import jobs_progress
from jobs.models import JobProgress, JobRun
from tests.engine import a_run

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def told(*words: object, out: StringIO | None = None) -> str:
    out = out or StringIO()
    call_command("jobs_progress", *map(str, words), stdout=out)
    return out.getvalue()


def a_walk(state: str = "running", done: int = 700) -> JobRun:
    row = a_run(state)
    JobProgress.objects.create(run=row, done=done, total=1000, message="customers", reported_at=row.created_at)
    return row


def test_runs_that_say_how_far_they_are_are_listed() -> None:
    assert told() == "No run says how far it is.\n"
    row = a_walk()
    a_run("running")
    a_walk("dead")
    assert told() == f"{row.pk} tests.sample.add running, 700 of 1,000 (70 %), customers\n"


def test_many_that_say_nothing_hide_none_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_progress, "_SHOWN", 1)
    monkeypatch.setattr(jobs_progress, "_AT_ONCE", 2)
    for _number in range(5):
        a_run("running")
    first = a_walk()
    assert told() == f"{first.pk} tests.sample.add running, 700 of 1,000 (70 %), customers\n"
    a_walk()
    assert told().endswith("More say it: these were asked for first.\n")


def test_one_run_is_told_of_whatever_its_state() -> None:
    assert told(a_walk("dead").pk) == "tests.sample.add dead, 700 of 1,000 (70 %), customers\n"
    assert told(a_run("queued").pk) == "tests.sample.add queued\n"


def test_json_has_one_object_for_a_line() -> None:
    row = a_walk()
    (line,) = told("--json").splitlines()
    facts = json.loads(line)
    assert (facts["run"], facts["done"], facts["total"], facts["state"]) == (str(row.pk), 700, 1000, "running")
    assert json.loads(told(a_run("queued").pk, "--json")).keys() == {"run", "job", "state"}


def test_a_run_is_watched_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    row = a_walk(done=500)

    def get_on(seconds: float) -> None:
        JobProgress.objects.update(done=1000)
        JobRun.objects.update(state="succeeded", ended_at=row.created_at)

    monkeypatch.setattr(jobs_progress.time, "sleep", get_on)
    lines = told(row.pk, "--watch").splitlines()
    assert ["500 of" in lines[0], "succeeded, 1,000 of 1,000 (100 %)" in lines[1], len(lines)] == [True, True, 2]


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = told(a_walk("succeeded", done=500).pk, "--watch", out=Terminal())
    assert "[############            ] 500 of 1,000 (50 %)" in shown
    assert shown.endswith("\n")


def test_who_watches_learns_of_a_bad_end() -> None:
    with pytest.raises(CommandError, match="is dead") as caught:
        told(a_walk("dead").pk, "--watch")
    assert caught.value.returncode == 1


def test_who_has_seen_enough_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs_progress.time, "sleep", interrupt)
    assert "700 of 1,000" in told(a_walk().pk, "--watch")


@pytest.mark.parametrize(
    ("words", "problem"),
    [(("nonsense",), "is no id of a run"), ((uuid.UUID(int=7),), "There is no run"), (("--watch",), "which run")],
)
def test_what_is_asked_wrongly_is_refused(words: tuple[object, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem) as caught:
        told(*words)
    assert caught.value.returncode in (1, 2)
