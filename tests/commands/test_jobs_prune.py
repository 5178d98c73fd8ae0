"""`jobs_prune` removes at once what the night would, or of runs alone what it is told."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.models import AuditEntry, JobRun, QueueSample
from tests.admin.rows import a_run

pytestmark = pytest.mark.django_db
OLD = timedelta(days=900)


def prune(*words: str) -> str:
    out = io.StringIO()
    call_command("jobs_prune", *words, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def old() -> None:
    a_run(age=OLD)
    a_run()
    QueueSample.objects.create(queue="default", minute=timezone.now() - OLD, depth=1, wait_ms=1)


def test_what_would_go_is_told_and_stays(old: None) -> None:
    assert prune("--dry-run") == "1 succeeded would be deleted. Some of these too: queue samples."
    assert json.loads(prune("--dry-run", "--json"))["beside"] == ["queue samples"]
    assert prune("--dry-run", "--state", "dead") == "Nothing would be deleted: nothing is that old."
    JobRun.objects.all().delete()
    assert prune("--dry-run") == "Some of these would be deleted: queue samples."
    assert (QueueSample.objects.count(), AuditEntry.objects.count()) == (1, 0)


def test_it_removes_runs_and_what_is_kept_beside_them(old: None) -> None:
    told: dict[str, Any] = json.loads(prune("--json"))
    assert (told["succeeded"], told["queue samples"], told["alerts"]) == (1, 1, 0)
    assert (JobRun.objects.count(), QueueSample.objects.count()) == (1, 0)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.count) == ("command", "prune", 2)
    assert prune() == "Nothing deleted: nothing is that old."


def test_with_a_state_it_looks_at_runs_alone(old: None) -> None:
    assert prune("--state", "succeeded", "--older-than", "1m") == "2 succeeded deleted."
    assert QueueSample.objects.count() == 1
