"""The verbs for many runs that wait, and for changing when they start: cancel, run now, postpone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import audit, runs
from jobs.broker.schedule import hasten
from jobs.broker.schedule import postpone as delay
from jobs.errors import BrokerUnavailable, NotReschedulable
from jobs.models import JobRun, RunState
from jobs.policy.tally import Tally

logger = logging.getLogger(__name__)

# What waits for a time, and not for a worker.
_A_MOMENT = timedelta(seconds=30)
WAITS_FOR_A_TIME = (RunState.SCHEDULED, RunState.RETRYING)


def run_now(run: JobRun, *, actor: str, reason: str = "", address: str = "") -> None:
    """Let a run that is due later start now. Raises `NotReschedulable` when it does not wait for a time."""
    tally = run_all_now([run.pk], actor=actor, reason=reason, address=address)
    if not tally.done:
        why = next(iter(tally.left), "it is gone")
        raise NotReschedulable(f"{run.name} {run.pk} was left alone: {why}.")


def postpone(run: JobRun, *, until: datetime, actor: str, reason: str = "", address: str = "") -> None:
    """Let a run that waits for a time start at another one. Raises `NotReschedulable` where it waits for none, or its
    time has just come, and `BrokerUnavailable` where Redis cannot be told; then nothing is changed.
    """
    with transaction.atomic(using=router.db_for_write(JobRun)):
        fit, tally = _sort_out([run.pk], WAITS_FOR_A_TIME)
        if not fit:
            raise NotReschedulable(f"{run.name} {run.pk} was left alone: {next(iter(tally.left), 'it is gone')}.")
        row = fit[0]
        before = {"due": row.due_at.isoformat() if row.due_at else None}
        _change(fit, lambda each: runs.transition(each, RunState(each.state), at=timezone.now(), due_at=until))
        after = {"due": until.isoformat()}
        words = {"actor": actor, "reason": reason, "address": address, "before": before, "after": after}
        _record("postpone", fit, filter=None, **words)
        # Last, for what is told to Redis is not taken back. One that was not pushed yet is pushed for its new time.
        if not delay(row.rq_id, row.queue, until=until) and row.pushed_at is not None:
            raise NotReschedulable(f"{run.name} {run.pk} was left alone: its time has just come.")


def run_all_now(
    keys: Sequence[Any], *, actor: str, reason: str = "", address: str = "", filter: dict[str, Any] | None = None
) -> Tally:
    """Let the runs of these keys start now, together and with one audit row."""
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        fit, tally = _sort_out(keys, WAITS_FOR_A_TIME)
        now = timezone.now()
        if asked := [row for row in fit if _was_hastened(row, now)]:
            fit = [row for row in fit if row not in asked]
            tally.done -= len(asked)
            tally.left["already queued"] += len(asked)
        if fit:
            _change(fit, lambda row: runs.transition(row, RunState(row.state), at=now, due_at=now))
            _record("run_now", fit, actor=actor, reason=reason, address=address, filter=filter, after={"due": "now"})
            transaction.on_commit(lambda: _hasten(fit), using=using)
    return tally


def cancel_all(
    keys: Sequence[Any], *, actor: str, reason: str = "", address: str = "", filter: dict[str, Any] | None = None
) -> Tally:
    """End the runs of these keys that have not started, together and with one audit row.

    Raises `BrokerUnavailable` when Redis cannot say whether they have; then nothing is changed.
    """
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        waiting, tally = _sort_out(keys, runs.CANCELLABLE)
        # Until this has committed, they are only out of the workers' reach, and come back by themselves.
        fit = [row for row in waiting if runs.put_aside(row)]
        if started := len(waiting) - len(fit):
            tally.done -= started
            tally.left["it has just started"] += started
        if fit:
            now = timezone.now()
            _change(fit, lambda row: runs.transition(row, RunState.CANCELLED, at=now))
            after = {"state": RunState.CANCELLED.value}
            _record("cancel", fit, actor=actor, reason=reason, address=address, filter=filter, after=after)
            transaction.on_commit(lambda: runs.withdraw_ended(*fit), using=using)
    return tally


def matching(keys: Sequence[Any]) -> QuerySet[JobRun]:
    """The runs of these keys, oldest first."""
    return JobRun.objects.filter(pk__in=keys).order_by("pk")


def _sort_out(keys: Sequence[Any], states: Sequence[RunState]) -> tuple[list[JobRun], Tally]:
    rows = runs.lock(keys)
    fit = [row for row in rows if row.state in states]
    left = Counter(f"the run is {row.get_state_display()}" for row in rows if row.state not in states)
    if gone := len(keys) - len(rows):
        left["removed by retention"] = gone
    return fit, Tally(len(fit), left)


def _was_hastened(row: JobRun, now: datetime) -> bool:
    """Whether it was let go a moment ago: a second click changes nothing. What is overdue for longer may be stuck."""
    return row.due_at is not None and now - _A_MOMENT < row.due_at <= now


def _change(rows: list[JobRun], change: Callable[[JobRun], object]) -> None:
    for row in rows:
        change(row)
    runs.save_all(rows)


def _record(action: str, rows: list[JobRun], *, filter: dict[str, Any] | None, **words: Any) -> None:
    target = str(rows[0].pk) if len(rows) == 1 else ""
    audit.record(action=action, target=target, count=len(rows), filter=filter, **words)


def _hasten(rows: list[JobRun]) -> None:
    try:
        hasten([(row.rq_id, row.queue) for row in rows])
    except BrokerUnavailable as error:
        # The relay tells it when it is back, of rows that are not said to be pushed.
        waiting = JobRun.objects.filter(pk__in=[row.pk for row in rows], state__in=WAITS_FOR_A_TIME)
        waiting.update(pushed_at=None)
        logger.warning("%d runs are due now, and Redis is told when it is back: %s", len(rows), error)
