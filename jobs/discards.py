"""The verbs that take back what a person discarded, for `JOBS["UNDO_DAYS"]`. Retention is not here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import audit, burials, conf, runs
from jobs.errors import NotUndoable
from jobs.models import DeadJob, FailureCause, JobRun, RunState
from jobs.models.dead import Resolution, narrowed
from jobs.policy.tally import Tally


def undo_until(dead_job: DeadJob) -> datetime | None:
    """Until when the discard of a dead job can be taken back; None when it was not discarded, or it is too late."""
    if dead_job.resolution != Resolution.DISCARDED or dead_job.resolved_at is None:
        return None
    until = dead_job.resolved_at + timedelta(days=conf.get().UNDO_DAYS)
    return until if until > timezone.now() else None


def undoable(
    *,
    name: str | None = None,
    queue: str | None = None,
    cause: FailureCause | int | None = None,
    error: str | None = None,
    reason: str | None = None,
    batch: int | None = None,
    batches: Iterable[int] | None = None,
    bulk: int | None = None,
    within: timedelta | None = None,
) -> QuerySet[DeadJob]:
    """Dead jobs that people have discarded and can have back, the first discarded first.

    `error` is a part of the error's class or message, `reason` why it died, `batch` the key of the one whose members
    they are, `batches` those of several. `bulk` is the key of the bulk action that discarded it, `within` how long ago
    it was at the most.
    """
    days = timedelta(days=conf.get().UNDO_DAYS)
    since = timezone.now() - (days if within is None else min(days, within))
    discarded = DeadJob.objects.filter(resolution=Resolution.DISCARDED, resolved_at__gt=since)
    columns = {"name": name, "queue": queue, "reason": reason, "cause": cause, "run__batch": batch, "bulk": bulk}
    found = narrowed(discarded, error=error, **columns)
    if batches is not None:
        found = found.filter(run__batch__in=list(batches))
    return found.order_by("pk")


def undo(dead_job: DeadJob, *, actor: str, reason: str = "", address: str = "") -> None:
    """Make a discarded run dead again, so that it can be retried. It does not run by that.

    Raises `NotUndoable` when it was not discarded, or longer ago than `JOBS["UNDO_DAYS"]`, or has gone on since.
    """
    tally = undo_many([dead_job.pk], actor=actor, reason=reason, address=address)
    if not tally.done:
        raise NotUndoable(f"{dead_job.name} {dead_job.run_id} was left alone: {next(iter(tally.left), 'it is gone')}.")


def undo_all(
    chosen: QuerySet[DeadJob],
    *,
    actor: str,
    reason: str = "",
    address: str = "",
    limit: int | None = None,
    filter: dict[str, Any] | None = None,
) -> Tally:
    """Make the chosen discarded runs dead again, in chunks that each commit with their audit row."""
    tally = Tally()
    for keys in burials.chunks(chosen, limit):
        tally.add(undo_many(keys, actor=actor, reason=reason, address=address, filter=filter))
    return tally


def undo_many(
    keys: Sequence[int], *, actor: str, reason: str = "", address: str = "", filter: dict[str, Any] | None = None
) -> Tally:
    """Make the discarded runs of these dead jobs dead again, together and with one audit row."""
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        dead_jobs = burials.lock(keys)
        fit, left = _sort_out(dead_jobs)
        if gone := len(keys) - len(dead_jobs):
            left["removed by retention"] = gone
        if fit:
            _bring_back(fit)
            _audit(fit, actor=actor, reason=reason, address=address, filter=filter)
    return Tally(len(fit), left)


def _sort_out(dead_jobs: Sequence[DeadJob]) -> tuple[list[DeadJob], Counter[str]]:
    left: Counter[str] = Counter()
    fit = []
    for dead_job in dead_jobs:
        if why := _why_not(dead_job):
            left[why] += 1
        else:
            fit.append(dead_job)
    return fit, left


def _why_not(dead_job: DeadJob) -> str:
    run = dead_job.run
    if dead_job.resolution != Resolution.DISCARDED:
        return f"it was {dead_job.get_resolution_display()}" if dead_job.resolution else "it was not discarded"
    if run.state != RunState.DISCARDED or run.life != dead_job.life:
        return f"the run is {run.get_state_display()}"
    if undo_until(dead_job) is None:
        return f"it was discarded more than {conf.get().UNDO_DAYS:g} days ago"
    return ""


def _bring_back(dead_jobs: Sequence[DeadJob]) -> None:
    now = timezone.now()
    rows = [dead_job.run for dead_job in dead_jobs]
    for row in rows:
        # From now on, so that retention by age does not take tonight what was brought back today.
        runs.undo_discard(row, at=now)
    runs.save_all(rows)
    DeadJob.objects.filter(pk__in=[dead_job.pk for dead_job in dead_jobs]).update(
        resolution="", resolved_at=None, resolved_by="", note="", bulk=None
    )


def _audit(dead_jobs: Sequence[DeadJob], **words: Any) -> None:
    audit.record(
        action="undo discard",
        target=str(dead_jobs[0].run_id) if len(dead_jobs) == 1 else "",
        count=len(dead_jobs),
        before={"state": RunState.DISCARDED.value},
        after={"state": RunState.DEAD.value},
        **words,
    )
