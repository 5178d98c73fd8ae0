"""The runs of workflows' steps under `inline`: they have rows, for a workflow goes by what its rows say."""

from __future__ import annotations

from typing import Any

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

from jobs import consequences, members
from jobs.models import Batch, JobRun, RunState


def added(run: JobRun) -> None:
    """A run waits or begins."""
    if batch := _batch_of(run):
        Batch.objects.filter(pk=batch).update(total=F("total") + 1)
        run.save(force_insert=True)


def begun(run: JobRun) -> None:
    """A run begins."""
    if _batch_of(run):
        JobRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING)


def ended(run: JobRun, end: str, result: Any) -> None:
    """A run has come to this end: what follows of it does so at once."""
    if not (batch := _batch_of(run)):
        return
    with transaction.atomic(using=router.db_for_write(JobRun)):
        JobRun.objects.filter(pk=run.pk).update(state=end, result=result, ended_at=timezone.now())
        members.count(members.moved([(batch, RunState.RUNNING, end)]))
    while consequences.follow():
        pass


def _batch_of(run: JobRun) -> int:
    """The key of the step's batch; 0 where there is none."""
    return run.batch_id if run.batch_id and run.batch_id > 0 else 0
