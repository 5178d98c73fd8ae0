"""`requeue_dead --canary --rate` asks for a bulk action and follows it, from a terminal or a script."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import bulk
from jobs.bulk import turning
from jobs.management import following
from jobs.management.resolving import ResolveDead
from jobs.models import BulkAction, DeadJob, FailureCause, JobRun
from jobs.models.bulk import BulkVerb
from jobs.policy.ramp import Ramp
from tests.admin.rows import a_dead_job
from tests.commands.test_requeue_dead import run

pytestmark = pytest.mark.django_db(transaction=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker lives here, and nobody waits for one."""
    monkeypatch.setattr(following, "TAKEN_SECONDS", 0.0)
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(turning, "_LAST_PATIENCE", timedelta(0))


def some_dead(count: int = 3) -> list[DeadJob]:
    return [a_dead_job() for _number in range(count)]


def test_without_a_worker_the_command_does_the_work_and_says_so() -> None:
    some_dead()
    printed, status = run("requeue_dead", "--rate", "100/s", "--no-input", "--reason", "it is back", "--limit", "2")
    assert "No worker has taken it, so this process does the work." in printed
    action = BulkAction.objects.get()
    assert (action.rate, action.canary, action.reason, action.total) == (100.0, 0, "it is back", 2)
    assert (action.max_failures, action.max_wait) == (0.2, 300.0)
    assert "Of these: 0 ok, 0 failed again, 2 waiting." in printed
    assert (status, action.state) == (0, "finished")


def test_what_is_discarded_is_followed_to_its_end() -> None:
    some_dead()
    printed, status = run("discard_dead", "--rate", "100/s", "--no-input", "--reason", "too late")
    assert "3 dead jobs discarded." in printed
    assert status == 0
    assert set(JobRun.objects.filter(name="tests.charge").values_list("state", flat=True)) == {"discarded"}
    # The run that nobody took is out of the way.
    assert JobRun.objects.get(name=bulk.JOB).state == "cancelled"


def test_every_option_reaches_the_action() -> None:
    some_dead()
    options = ("--canary", "2", "--rate", "60/min", "--max-failures", "5%", "--max-wait", "2m")
    printed, status = run("requeue_dead", *options, "--no-input", "--no-follow")
    action = BulkAction.objects.get()
    assert (action.canary, action.rate, action.max_failures, action.max_wait) == (2, 1.0, 0.05, 120.0)
    assert f"Bulk action {action.pk} is asked for: 3 dead jobs." in printed
    assert (status, action.state) == (0, "asked")


def test_a_cause_is_named_by_its_number_or_the_beginning_of_its_fingerprint() -> None:
    now = timezone.now()
    facts: dict[str, Any] = {"name": "tests.charge", "error_class": "E", "first_seen_at": now, "last_seen_at": now}
    causes = [FailureCause.objects.create(fingerprint=fingerprint, **facts) for fingerprint in ("abc123", "abd456")]
    wanted, other = some_dead(2)
    for dead, cause in ((wanted, causes[0]), (other, causes[1])):
        DeadJob.objects.filter(pk=dead.pk).update(cause=cause)
    for text in (str(causes[0].pk), "abc"):
        assert "1  tests.charge" in run("requeue_dead", "--cause", text, "--dry-run")[0]
    for text, why in (("ab", "more than one cause"), ("zzz", "no cause")):
        with pytest.raises(CommandError, match=why):
            run("requeue_dead", "--cause", text, "--dry-run")
    run("requeue_dead", "--cause", "abc", "--rate", "9/s", "--no-input", "--no-follow")
    assert BulkAction.objects.get().selection["words"] == {"cause": causes[0].pk}


def test_the_summary_is_json_for_scripts() -> None:
    some_dead()
    out = io.StringIO()
    options = ("--rate", "100/s", "--no-input", "--reason", "x", "--json")
    call_command("discard_dead", *options, stdout=out, stderr=io.StringIO())
    told = json.loads(out.getvalue())
    assert (told["action"], told["state"], told["done"], told["not_come_to"]) == ("discard", "finished", 3, 0)


def test_a_terminal_gets_a_bar() -> None:
    some_dead()
    terminal = Terminal()
    options = ("--rate", "100/s", "--no-input", "--reason", "x")
    call_command("discard_dead", *options, stdout=terminal, stderr=io.StringIO())
    assert "\r\x1b[K[########################] 3 of 3 (100 %), finished" in terminal.getvalue()


def test_an_action_is_stopped_and_resumed_by_its_number() -> None:
    some_dead()
    action, _ = bulk.ask(BulkVerb.REQUEUE, bulk.Selection(), actor="ann", ramp=Ramp(canary=2))
    printed, status = run("requeue_dead", "--stop", str(action.pk), "--reason", "not yet")
    assert status == 1
    assert "not yet" in printed
    assert f"manage.py requeue_dead --resume {action.pk}" in printed
    run("requeue_dead", "--resume", str(action.pk), "--no-follow")
    action.refresh_from_db()
    assert action.state == "asked"


def test_what_cannot_be_is_refused() -> None:
    action, _ = bulk.ask(BulkVerb.DISCARD, bulk.Selection(), actor="ann")
    bulk.turn(action.pk)
    for options, why in (
        (("--resume", "999"), "no bulk action 999"),
        (("--stop", str(action.pk)), "is finished"),
        (("--rate", "fast"), "is no rate"),
        (("--canary", "0"), "whole number from 1"),
    ):
        with pytest.raises(CommandError, match=why):
            run("requeue_dead", *options, "--no-input")


def test_what_dies_while_somebody_is_asked_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    some_dead(2)
    show = ResolveDead._show
    monkeypatch.setattr(ResolveDead, "_show", lambda *shown: (show(*shown), some_dead(1)))
    printed, _status = run("requeue_dead", "--rate", "100/s", "--no-input")
    assert BulkAction.objects.get().total == 2
    assert "2 dead jobs requeued." in printed
