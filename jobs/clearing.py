"""Discards runs that wait in a queue, many at a time. Each is buried as it is discarded, so that it can be undone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import audit, runs
from jobs.models import DeadJob, JobRun, RunState
from jobs.models.dead import DeathReason, Resolution
from jobs.policy.tally import Tally

logger = logging.getLogger(__name__)


def waiting(queue: str) -> QuerySet[JobRun]:
    """The runs that wait in a queue for a worker, oldest first; those that are due later are not among them."""
    return JobRun.objects.filter(queue=queue, state=RunState.QUEUED).order_by("pk")


def discard_all(
    keys: Sequence[Any],
    *,
    actor: str,
    reason: str = "",
    address: str = "",
    filter: dict[str, Any] | None = None,
    bulk: int | None = None,
) -> Tally:
    """Discard the runs of these keys that have not started, together and with one audit row.

    Raises `BrokerUnavailable` when Redis cannot say whether they have; then nothing is changed.
    """
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        rows = runs.lock(keys)
        queued = [row for row in rows if row.state == RunState.QUEUED]
        left = Counter(f"the run is {row.get_state_display()}" for row in rows if row.state != RunState.QUEUED)
        if gone := len(keys) - len(rows):
            left["removed by retention"] = gone
        # Until this has committed, they are only out of the workers' reach, and come back by themselves.
        fit = [row for row in queued if runs.put_aside(row)]
        if started := len(queued) - len(fit):
            left["it has just started"] += started
        if fit:
            _discard(fit, actor=actor, reason=reason, bulk=bulk)
            after = {"state": RunState.DISCARDED.value}
            words: dict[str, Any] = {
                "actor": actor,
                "reason": reason,
                "address": address,
                "filter": filter,
                "after": after,
            }
            audit.record(action="clear", target=str(fit[0].pk) if len(fit) == 1 else "", count=len(fit), **words)
            transaction.on_commit(lambda: runs.withdraw_ended(*fit), using=using)
    return Tally(len(fit), left)


def _discard(rows: list[JobRun], *, actor: str, reason: str, bulk: int | None) -> None:
    now = timezone.now()
    for row in rows:
        runs.transition(row, RunState.DISCARDED, at=now)
    runs.save_all(rows)
    DeadJob.objects.bulk_create(
        DeadJob(
            run=row,
            life=row.life,
            name=row.name,
            queue=row.queue,
            reason=DeathReason.CLEARED,
            died_at=now,
            resolution=Resolution.DISCARDED,
            resolved_at=now,
            resolved_by=actor[:200],
            note=reason[:500],
            bulk_id=bulk,
        )
        for row in rows
    )
