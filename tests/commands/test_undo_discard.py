"""`undo_discard`: what was discarded by mistake, back from a terminal."""

from __future__ import annotations

import pytest

from jobs import dead
from jobs.models import AuditEntry, RunState
from tests.admin.rows import a_dead_job
from tests.commands.test_requeue_dead import run, states, summary

pytestmark = pytest.mark.django_db


def discard(name: str, **facts: object) -> None:
    dead.discard(a_dead_job(name=name, **facts), actor="ann", reason="by mistake")


def test_what_matches_is_dead_again_and_no_other() -> None:
    discard("tests.a")
    discard("tests.b", queue="low")
    printed, status = run("undo_discard", "--queue", "low", "--no-input", "--reason", "a slip")
    assert "1  tests.b  low  discarded by ann" in printed
    assert "1 of 1 are dead again." in printed
    assert status == 0
    assert states() == {"tests.a": RunState.DISCARDED, "tests.b": RunState.DEAD}
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.reason, entry.filter) == ("undo discard", "a slip", {"queue": "low"})
    assert entry.actor.startswith("undo_discard")


def test_a_dry_run_changes_nothing() -> None:
    discard("tests.a")
    told = summary("undo_discard", "--dry-run")
    assert told == {"dry_run": True, "matched": 1, "done": 1, "left_alone": {}}
    assert states() == {"tests.a": RunState.DISCARDED}
    assert not AuditEntry.objects.filter(action="undo discard").exists()


def test_no_more_than_the_limit_come_back() -> None:
    for name in "abc":
        discard(f"tests.{name}")
    printed, status = run("undo_discard", "--within", "1h", "--limit", "2", "--no-input")
    assert ("2 of 3 are dead again." in printed, status) == (True, 1)
