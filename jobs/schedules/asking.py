"""Asks for the run of a due time, and writes its tick, in the transaction of whoever holds the schedule's lock."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import router, transaction

from jobs import conf, enqueueing, failpoints, registry
from jobs.errors import AlreadyPending
from jobs.handles import Run
from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.runs import PENDING_STATES
from jobs.models.schedules import TickState
from jobs.policy import scheduling
from jobs.policy.scheduling import Terms
from jobs.registry import Bound, Placing

logger = logging.getLogger(__name__)

# Of the runs that a schedule asked for last, so many may be pending; older ones are not looked for.
_LOOKED_AT_RUNS = 100
_EQUAL = "an equal run of the unique job is pending"


def ask(schedule: Schedule, terms: Terms, due: datetime, *, now: datetime, by_hand: str = "") -> ScheduleTick | None:
    """Write the tick of a due time and ask for its run. None where the due time has its tick already.

    Raises a `JobsError` where this code cannot ask for it, and has written nothing then.
    """
    if ScheduleTick.objects.filter(schedule=schedule, due_at=due).exists():
        return None
    with transaction.atomic(using=router.db_for_write(ScheduleTick)):
        tick = ScheduleTick.objects.create(
            schedule=schedule, due_at=due, state=TickState.ASKED, ticked_at=now, by_hand=by_hand[:200]
        )
        if failpoints.armed:
            failpoints.reach("after_tick")
        enqueue(tick, schedule, terms, now=now)
    return tick


def enqueue(tick: ScheduleTick, schedule: Schedule, terms: Terms, *, now: datetime) -> None:
    """Ask for the run of a tick that is there. Raises a `JobsError` as `ask` does."""
    jitter = timedelta(0) if tick.by_hand else scheduling.jitter_of(schedule.name, tick.due_at, terms.jitter)
    # One that waited for the run before it has its time from now on, and is told as late once at the most.
    since = now if tick.state == TickState.WAITING else tick.due_at + jitter
    tick.asked_at, tick.state, tick.why, tick.late_at = now, TickState.ASKED, "", None
    try:
        run = _run(terms, tick.due_at, at=tick.due_at + jitter)
        tick.run = run.id
        if run.created is False:
            tick.state, tick.why = TickState.SKIPPED, _EQUAL
    except AlreadyPending as error:
        tick.run = getattr(error.run, "id", None)
        tick.state, tick.why = TickState.SKIPPED, _EQUAL
    if tick.state == TickState.ASKED and tick.late_told_at is None:
        tick.late_at = since + timedelta(seconds=late_seconds(terms))
    tick.save()
    if failpoints.armed:
        failpoints.reach("before_tick_commit")
    logger.debug("schedule ticked", extra={"schedule": schedule.name, "due": tick.due_at.isoformat()})


def late_seconds(terms: Terms) -> float:
    """After how many seconds a due time whose run has not started is late."""
    return terms.late_after if terms.late_after is not None else conf.get().SCHEDULE_LATE_AFTER


def pending_runs(schedule: Schedule) -> Sequence[UUID]:
    """The runs of this schedule that have not ended."""
    asked = ScheduleTick.objects.filter(schedule=schedule, state=TickState.ASKED, run__isnull=False)
    latest = [run for run in asked.order_by("-due_at").values_list("run", flat=True)[:_LOOKED_AT_RUNS] if run]
    if not latest:
        return []
    return list(JobRun.objects.filter(pk__in=latest, state__in=PENDING_STATES).values_list("pk", flat=True))


def _run(terms: Terms, due: datetime, *, at: datetime) -> Run:
    arguments = scheduling.filled(terms.arguments, due, terms.timezone)
    placing = Placing(queue=terms.queue or None, at=at)
    return enqueueing.enqueue(registry.get(terms.job), [Bound((), arguments)], placing)[0]
