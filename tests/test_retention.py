"""What goes with nobody having decided on it is told, and nothing goes that a person may still want back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import dead, discards, ledger, retention
from jobs.models import AuditEntry, DeadJob, FailureCause, JobRun
from jobs.worker.nightly import ask_for_room
from tests.admin.rows import a_cause
from tests.engine import a_run
from tests.test_dead import a_dead_run
from tests.test_discards import discarded

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def dead_for(days: float, *, cause: FailureCause | None = None, name: str = "tests.dying") -> DeadJob:
    """A dead job that nobody has resolved for so long."""
    return a_dead_run(died=timedelta(days=days), cause=cause, run={"name": name})


def left() -> set[Any]:
    return set(dead.matching().values_list("pk", flat=True))


def test_the_longest_dead_beyond_the_number_go(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=3)
    found = [dead_for(days) for days in (9, 8, 7, 6, 5)]
    assert retention.prunable()["dead"] == 2
    assert retention.prune()["dead"] == 2
    assert left() == {dead_job.pk for dead_job in found[2:]}
    assert retention.prune()["dead"] == 0


def test_what_died_within_three_days_is_spared_however_much_it_is(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=2)
    old = [dead_for(4), dead_for(5)]
    for _number in range(5):
        dead_for(2.9)
    assert retention.prunable()["dead"] == retention.prune()["dead"] == 2
    assert left().isdisjoint({dead_job.pk for dead_job in old})
    assert retention.is_full()
    assert not retention.is_beyond()


def test_what_retention_removes_is_told_by_job_and_cause(
    jobs_settings: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    jobs_settings(KEEP_DEAD=1)
    cause = a_cause()
    dead_for(100, cause=cause)
    for _number in range(3):
        dead_for(9, cause=cause, name="tests.charge")
    with caplog.at_level(logging.WARNING, logger="jobs.retention"):
        retention.prune()
    aged, surplus = AuditEntry.objects.order_by("pk")
    assert (aged.actor, aged.action, aged.count) == ("retention", "remove dead", 1)
    assert aged.reason == "they were kept for as long as is said"
    assert surplus.after == {"jobs": {"tests.charge": 2}, "causes": {"tests.charge: shop.GatewayDown": 2}}
    assert surplus.reason == 'there were more than JOBS["KEEP_DEAD"] (1)'
    cause.refresh_from_db()
    assert cause.removed == 3
    assert "removed 2 dead that nobody had resolved" in caplog.text
    assert "2 of tests.charge" in caplog.text


def test_an_age_of_ones_own_removes_none_for_their_number(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=1)
    for days in (5, 6, 7):
        dead_for(days)
    assert retention.prunable(states=["dead"], older_than=6.5 * DAY) == {"dead": 1}
    assert retention.prune(states=["dead"], older_than=6.5 * DAY, actor="command") == {"dead": 1}
    assert AuditEntry.objects.get().actor == "command"


def test_the_ledger_balances_afterwards(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=2)
    for days in (5, 6, 7):
        dead_for(days)
    a_run("succeeded")
    retention.prune()
    (account, other) = sorted(ledger.accounts(ledger.Range()).values(), key=lambda account: account.dead)
    assert (other.enqueued, other.dead, other.pending) == (2, 2, 0)
    assert (account.enqueued, account.succeeded) == (1, 1)


def test_a_discard_that_can_be_undone_is_not_removed(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DAYS={"discarded": 1}, UNDO_DAYS=5)
    early = discarded(ago=4 * DAY)
    late = discarded(ago=6 * DAY)
    by_itself = a_run("discarded", ended=2 * DAY)
    JobRun.objects.filter(burials__isnull=False).update(ended_at=timezone.now() - 4 * DAY)
    assert retention.prunable()["discarded"] == retention.prune()["discarded"] == 2
    assert set(JobRun.objects.values_list("pk", flat=True)) == {early.run_id}
    assert not JobRun.objects.filter(pk__in=[late.run_id, by_itself.pk]).exists()
    assert retention.prune(states=["discarded"], older_than=timedelta(0)) == {"discarded": 0}


def test_a_dead_run_that_was_brought_back_is_kept_from_then_on(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=1)
    back = discarded(died=50 * DAY)
    dead_for(10)
    dead_for(11)
    discards.undo(back, actor="ann")
    retention.prune()
    assert left() == {back.pk}


def test_the_log_says_once_that_there_are_too_many(
    jobs_settings: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    jobs_settings(KEEP_DEAD=1)
    watch = retention.Watch()
    for _number in range(2):
        dead_for(0)
        watch.look()
    watch.look()
    assert caplog.text.count('There are more dead jobs than JOBS["KEEP_DEAD"] (1).') == 1


def test_too_many_dead_jobs_are_cleaned_up_at_once_and_not_at_night(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(KEEP_DEAD=1)
    now = datetime.now(UTC)
    dead_for(4)
    ask_for_room(now)
    assert not JobRun.objects.filter(name="jobs.prune_runs").exists()
    dead_for(5)
    ask_for_room(now)
    ask_for_room(now + timedelta(minutes=5))
    assert JobRun.objects.filter(name="jobs.prune_runs").count() == 1
