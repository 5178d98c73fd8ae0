"""The verbs for dead jobs: find, requeue, discard. Commands, the admin and tests call these."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import audit, burials, conf, runs
from jobs.broker.push import forget_failed, push
from jobs.enqueueing import message_of
from jobs.errors import BrokerUnavailable, NotDiscardable, NotRequeueable
from jobs.models import DeadJob, FailureCause, JobRun, RunState
from jobs.models.dead import Resolution, narrowed
from jobs.models.runs import PENDING_STATES
from jobs.policy.tally import Tally
from jobs.signals import job_requeued

Progress = Callable[[int], None]


def matching(
    *,
    name: str | None = None,
    queue: str | None = None,
    error: str | None = None,
    reason: str | None = None,
    cause: FailureCause | int | None = None,
    batch: int | None = None,
    older_than: timedelta | None = None,
    run_ids: Iterable[Any] | None = None,
    batches: Iterable[int] | None = None,
) -> QuerySet[DeadJob]:
    """Dead jobs that nobody has resolved, oldest first. `error` is a part of the error's class or message, `batch` the
    key of the one whose members they are, `batches` those of several.
    """
    open_ones = DeadJob.objects.filter(resolution="")
    found = narrowed(open_ones, error=error, name=name, queue=queue, reason=reason, cause=cause, run__batch=batch)
    if older_than is not None:
        found = found.filter(died_at__lt=timezone.now() - older_than)
    if run_ids is not None:
        found = found.filter(run__in=list(run_ids))
    if batches is not None:
        found = found.filter(run__batch__in=list(batches))
    return found.order_by("pk")


def requeue(dead_job: DeadJob, *, actor: str, reason: str = "", address: str = "") -> None:
    """Give a dead run a new life, with all its attempts.

    Raises `NotRequeueable` when it was resolved before, when an equal run of a unique job is pending, or when
    its queue is gone.
    """
    tally = resolve([dead_job.pk], Resolution.REQUEUED, actor=actor, reason=reason, address=address)
    if not tally.done:
        raise NotRequeueable(f"{dead_job.name} {dead_job.run_id} was left alone: {_only(tally)}.")


def discard(dead_job: DeadJob, *, actor: str, reason: str, address: str = "") -> None:
    """End a dead run for good. Raises `NotDiscardable` when it was resolved before."""
    tally = resolve([dead_job.pk], Resolution.DISCARDED, actor=actor, reason=reason, address=address)
    if not tally.done:
        raise NotDiscardable(f"{dead_job.name} {dead_job.run_id} was left alone: {_only(tally)}.")


def requeue_all(
    chosen: QuerySet[DeadJob],
    *,
    actor: str,
    reason: str = "",
    address: str = "",
    limit: int | None = None,
    progress: Progress | None = None,
    filter: dict[str, Any] | None = None,
) -> Tally:
    """Requeue the chosen dead jobs, oldest first, in chunks that each commit with their audit row.

    Those that die after the call began stay out. `progress` hears how many have been looked at, after each
    chunk; what it raises ends the work there.
    """
    return _resolve_all(
        chosen, Resolution.REQUEUED, actor, reason, address, limit=limit, progress=progress, filter=filter
    )


def discard_all(
    chosen: QuerySet[DeadJob],
    *,
    actor: str,
    reason: str,
    address: str = "",
    limit: int | None = None,
    progress: Progress | None = None,
    filter: dict[str, Any] | None = None,
) -> Tally:
    """Discard the chosen dead jobs for good; otherwise like `requeue_all`."""
    return _resolve_all(
        chosen, Resolution.DISCARDED, actor, reason, address, limit=limit, progress=progress, filter=filter
    )


def _resolve_all(
    chosen: QuerySet[DeadJob],
    resolution: Resolution,
    actor: str,
    reason: str,
    address: str,
    *,
    limit: int | None,
    progress: Progress | None,
    filter: dict[str, Any] | None,
) -> Tally:
    tally = Tally()
    for keys in burials.chunks(chosen, limit):
        tally.add(resolve(keys, resolution, actor=actor, reason=reason, address=address, filter=filter))
        if progress is not None:
            progress(tally.done + tally.left.total())
    return tally


def resolve(
    keys: list[int],
    resolution: Resolution,
    *,
    actor: str,
    reason: str,
    address: str,
    filter: dict[str, Any] | None = None,
    bulk: int | None = None,
) -> Tally:
    """Resolve the dead jobs of these keys together, with one audit row: a chunk of what is done with many.

    `bulk` is the key of the bulk action that it belongs to.
    """
    words: dict[str, Any] = {"actor": actor, "reason": reason, "address": address, "filter": filter, "bulk": bulk}
    try:
        return _resolve_together(keys, resolution, **words)
    except IntegrityError:
        # An equal run of a unique job was enqueued meanwhile: one by one, only that one is left alone.
        if len(keys) == 1:
            return Tally(left=Counter({"an equal run is pending": 1}))
        tally = Tally()
        for key in keys:
            tally.add(resolve([key], resolution, **words))
        return tally


def _resolve_together(
    keys: list[int],
    resolution: Resolution,
    *,
    actor: str,
    reason: str,
    address: str,
    filter: dict[str, Any] | None,
    bulk: int | None,
) -> Tally:
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        fit, left = _sort_out(burials.lock(keys), keys, resolution)
        if fit:
            _mark(fit, resolution, actor=actor, note=reason, bulk=bulk)
            _audit(fit, resolution, actor=actor, reason=reason, address=address, filter=filter)
            transaction.on_commit(lambda: _after_commit(fit, resolution), using=using)
    return Tally(len(fit), left)


def _sort_out(dead_jobs: list[DeadJob], keys: list[int], resolution: Resolution) -> tuple[list[DeadJob], Counter[str]]:
    left: Counter[str] = Counter()
    if gone := len(keys) - len(dead_jobs):
        left["removed by retention"] = gone
    taken = _taken_keys(dead_jobs) if resolution == Resolution.REQUEUED else set()
    fit = []
    for dead_job in dead_jobs:
        if why := _why_not(dead_job, resolution, taken):
            left[why] += 1
            continue
        fit.append(dead_job)
        if dead_job.run.unique_key and resolution == Resolution.REQUEUED:
            taken.add(dead_job.run.unique_key)
    return fit, left


def _why_not(dead_job: DeadJob, resolution: Resolution, taken: set[str]) -> str:
    if dead_job.resolution:
        return f"already {dead_job.get_resolution_display()}"
    if dead_job.run.state != RunState.DEAD or dead_job.run.life != dead_job.life:
        return f"the run is {dead_job.run.get_state_display()}"
    if resolution == Resolution.REQUEUED and dead_job.run.unique_key in taken:
        return "an equal run is pending"
    if resolution == Resolution.REQUEUED and dead_job.queue not in conf.queue_names():
        return f'its queue "{dead_job.queue}" is not in RQ_QUEUES'
    return ""


def _taken_keys(dead_jobs: list[DeadJob]) -> set[str]:
    wanted = [dead_job.run.unique_key for dead_job in dead_jobs if dead_job.run.unique_key]
    if not wanted:
        return set()
    pending = JobRun.objects.filter(unique_key__in=wanted, state__in=PENDING_STATES)
    return {str(key) for key in pending.values_list("unique_key", flat=True)}


def _mark(dead_jobs: list[DeadJob], resolution: Resolution, *, actor: str, note: str, bulk: int | None) -> None:
    now = timezone.now()
    for dead_job in dead_jobs:
        if resolution == Resolution.REQUEUED:
            facts: dict[str, Any] = {"life": dead_job.life + 1, "attempts": 0, "crashes": 0}
            runs.transition(dead_job.run, RunState.QUEUED, at=now, pushed_at=None, due_at=None, **facts)
        else:
            runs.transition(dead_job.run, RunState.DISCARDED, at=now)
    runs.save_all([dead_job.run for dead_job in dead_jobs])
    DeadJob.objects.filter(pk__in=[dead_job.pk for dead_job in dead_jobs]).update(
        resolution=resolution, resolved_at=now, resolved_by=actor[:200], note=note[:500], bulk=bulk
    )


def _audit(
    dead_jobs: list[DeadJob],
    resolution: Resolution,
    *,
    actor: str,
    reason: str,
    address: str,
    filter: dict[str, Any] | None,
) -> None:
    audit.record(
        actor=actor,
        action="requeue" if resolution == Resolution.REQUEUED else "discard",
        target=str(dead_jobs[0].run_id) if len(dead_jobs) == 1 else "",
        reason=reason,
        count=len(dead_jobs),
        filter=filter,
        before={"state": RunState.DEAD.value},
        after={"state": dead_jobs[0].run.state},
        address=address,
    )


def _after_commit(dead_jobs: list[DeadJob], resolution: Resolution) -> None:
    # Rows that are not pushed are the relay's work when Redis is back; a failed set forgets by itself.
    with contextlib.suppress(BrokerUnavailable):
        if resolution == Resolution.DISCARDED:
            forget_failed([(dead_job.run.rq_id, dead_job.queue) for dead_job in dead_jobs])
        else:
            push([message_of(dead_job.run) for dead_job in dead_jobs], at=timezone.now())
    if resolution == Resolution.DISCARDED:
        return
    for dead_job in dead_jobs:
        job_requeued.send_robust(dead_job.name, dead_job=dead_job)


def _only(tally: Tally) -> str:
    return next(iter(tally.left), "it is gone")
