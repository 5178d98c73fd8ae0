"""40,000 dead jobs of three causes are grouped, listed and removed in little time."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import causes, retention
from jobs.models import AuditEntry, DeadJob, FailureCause, JobAttempt, JobRun, RunState
from tests.admin.conftest import operator, person
from tests.admin.rows import a_cause

__all__ = ["operator", "person"]

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MANY = 40_000


@pytest.fixture
def many() -> list[FailureCause]:
    """Three causes, and dead jobs of each in turn that died a week ago; each has an attempt."""
    found = [a_cause(name=f"tests.job_{number}", message=f"no {word}") for number, word in enumerate("abc")]
    died_at = timezone.now() - timedelta(days=7)
    ids = [uuid.uuid4() for _number in range(MANY)]
    given = {"queue": "default", "payload": [[], {}], "arguments": {}, "max_attempts": 1, "created_at": died_at}
    JobRun.objects.bulk_create(
        [
            JobRun(id=run, rq_id=str(run), name=found[at % 3].name, state=RunState.DEAD, ended_at=died_at, **given)
            for at, run in enumerate(ids)
        ],
        batch_size=1000,
    )
    DeadJob.objects.bulk_create(
        [
            DeadJob(
                run_id=run,
                life=0,
                name=found[at % 3].name,
                queue="default",
                reason="exhausted",
                died_at=died_at,
                cause=found[at % 3],
            )
            for at, run in enumerate(ids)
        ],
        batch_size=1000,
    )
    JobAttempt.objects.bulk_create(
        [
            JobAttempt(
                run_id=run,
                number=1,
                token=str(at),
                started_at=died_at,
                ended_at=died_at,
                run_ms=1,
                worker="w",
                outcome="raised",
                verdict="bury",
                fingerprint=found[at % 3].fingerprint,
            )
            for at, run in enumerate(ids)
        ],
        batch_size=1000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return found


def seconds(act: Callable[[], object]) -> float:
    """How long it takes, the best of three."""
    times = []
    for _number in range(3):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return min(times)


def test_forty_thousand_dead_jobs_of_three_causes(
    many: list[FailureCause], operator: Client, jobs_settings: Callable[..., object]
) -> None:
    grouped = causes.open_dead()
    assert [each.count for each in grouped] == [13_334, 13_333, 13_333]
    took = {"grouping": seconds(causes.open_dead)}
    for page in ("failurecause", "deadjob"):
        address = reverse(f"admin:jobs_{page}_changelist")
        took[page] = seconds(lambda address=address: operator.get(address))
    one = reverse("admin:jobs_deadjob_changelist") + f"?cause={many[0].pk}"
    took["one cause"] = seconds(lambda: operator.get(one))
    print({what: f"{1000 * each:.0f} ms" for what, each in took.items()})
    assert took["grouping"] < 1
    assert max(took.values()) < 2
    # What is removed is told, chunk by chunk, and the causes count it.
    jobs_settings(KEEP_DEAD=38_000)
    assert retention.prune()["dead"] == 2_000
    assert sum(AuditEntry.objects.values_list("count", flat=True)) == 2_000
    assert sum(FailureCause.objects.values_list("removed", flat=True)) == 2_000
