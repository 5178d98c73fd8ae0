"""Places at which a test lets a process die."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import failpoints
from jobs.errors import BadOptions, FailpointsRefused

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    failpoints.disarm()
    yield
    failpoints.disarm()


def ask(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, words)
    failpoints.arm_asked(allowed=True)


def test_nothing_is_armed_unless_it_is_asked_for() -> None:
    failpoints.arm_asked(allowed=False)
    assert not failpoints.armed
    failpoints.reach("after_claim")


def test_outside_tests_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoints.VARIABLE, "after_claim:kill")
    with pytest.raises(FailpointsRefused, match="Unset it"):
        failpoints.arm_asked(allowed=False)
    assert not failpoints.armed


def test_a_project_does_not_start_with_one_set() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "jobsite.settings", failpoints.VARIABLE: "after_claim:kill"}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "FailpointsRefused" in done.stderr


def test_what_is_asked_for_happens_where_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(monkeypatch, "after_claim:raise, before_commit:sleep=0.001@0.5")
    failpoints.reach("before_commit")
    failpoints.reach("after_settle")
    with pytest.raises(failpoints.Failpoint, match="after_claim"):
        failpoints.reach("after_claim")


def test_what_has_no_chance_does_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    ask(monkeypatch, "after_claim:raise@0.0")
    failpoints.reach("after_claim")


@pytest.mark.parametrize(
    ("words", "told"),
    [("after_clam:kill", 'Did you mean "after_claim"'), ("after_claim:explode", "cannot be read"), ("x", "cannot")],
)
def test_what_cannot_be_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    with pytest.raises(BadOptions, match=told):
        ask(monkeypatch, words)


def test_every_place_that_the_code_names_is_listed_and_every_listed_one_is_there() -> None:
    sources = [*(ROOT / "jobs").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    named = {place for source in sources for place in re.findall(r'failpoints\.reach\("(\w+)"', source.read_text())}
    assert named == failpoints.POINTS.keys()
