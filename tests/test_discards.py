"""What a person discarded can be had back for some days, and by that verb alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import burials, dead, discards, recorder
from jobs.errors import NotUndoable
from jobs.models import AuditEntry, DeadJob, JobRun, RunState
from jobs.registry import Job
from tests.engine import a_run, make_job, places, work_off
from tests.test_dead import a_dead_run, fail
from tests.test_recorder import settled, write

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


def discarded(*, ago: timedelta = timedelta(0), **facts: Any) -> DeadJob:
    """A dead job that was discarded so long ago."""
    dead_job = a_dead_run(**facts)
    dead.discard(dead_job, actor="ann", reason="a test order")
    DeadJob.objects.filter(pk=dead_job.pk).update(resolved_at=timezone.now() - ago)
    dead_job.refresh_from_db()
    return dead_job


def test_an_undone_discard_is_dead_again_and_can_be_retried(make_job: Callable[..., Job[..., Any]]) -> None:
    run = make_job(fail, name="tests.dying", retry=1).enqueue(7)
    work_off()
    (buried,) = dead.matching()
    dead.discard(buried, actor="ann", reason="not wanted")
    discards.undo(buried, actor="bob", reason="it was wanted", address="10.0.0.1")
    row = run.row()
    assert (row.state, row.life) == ("dead", 0)
    assert row.ended_at is not None
    (again,) = dead.matching()
    assert (again.pk, again.resolution, again.resolved_by, again.note) == (buried.pk, "", "", "")
    assert places(run.id) == []
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor, entry.action, entry.reason, entry.address) == (
        "bob",
        "undo discard",
        "it was wanted",
        "10.0.0.1",
    )
    assert (entry.before, entry.after) == ({"state": "discarded"}, {"state": "dead"})
    dead.requeue(again, actor="bob")
    assert places(run.id) == ["queued:default"]
    work_off()
    assert run.row().life == 1


def test_after_its_days_a_discard_is_for_good(jobs_settings: Callable[..., Any]) -> None:
    early, late = discarded(ago=timedelta(days=6)), discarded(ago=timedelta(days=8))
    assert list(discards.undoable()) == [early]
    assert discards.undo_until(late) is None
    with pytest.raises(NotUndoable, match="more than 7 days ago"):
        discards.undo(late, actor="ann")
    jobs_settings(UNDO_DAYS=9)
    discards.undo(late, actor="ann")


def test_what_was_not_discarded_is_left_alone() -> None:
    open_one, requeued = a_dead_run(), a_dead_run()
    dead.requeue(requeued, actor="ann")
    gone = discarded()
    gone.run.delete()
    tally = discards.undo_many([open_one.pk, requeued.pk, gone.pk], actor="ann")
    assert (tally.done, tally.left) == (
        0,
        Counter({"it was not discarded": 1, "it was requeued": 1, "removed by retention": 1}),
    )
    assert not AuditEntry.objects.filter(action="undo discard").exists()


def test_a_second_undo_changes_nothing() -> None:
    dead_job = discarded()
    discards.undo(dead_job, actor="ann")
    with pytest.raises(NotUndoable, match="it was not discarded"):
        discards.undo(dead_job, actor="ann")


def test_many_are_undone_in_chunks_with_an_audit_row_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burials, "_AT_ONCE", 2)
    for number in range(5):
        discarded(queue="low" if number == 4 else "default")
    tally = discards.undo_all(discards.undoable(queue="default"), actor="ann", limit=3)
    assert tally.done == 3
    assert [entry.count for entry in AuditEntry.objects.filter(action="undo discard").order_by("pk")] == [2, 1]
    assert JobRun.objects.filter(state=RunState.DISCARDED).count() == 2


def test_what_the_journal_tells_late_brings_no_discarded_run_back() -> None:
    dead_job = discarded()
    write(
        settled(
            dead_job.run_id, verdict="bury", outcome="raised", reason="exhausted", error_class="E", error_message=""
        )
    )
    recorder.record_all()
    assert JobRun.objects.get().state == "discarded"
    assert DeadJob.objects.count() == 1


def test_what_a_job_discarded_itself_is_not_in_the_list() -> None:
    a_run("discarded")
    assert not discards.undoable().exists()
