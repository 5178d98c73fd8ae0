"""Tells of due times whose run did not start, each once: in the log, by a signal, and to the job `on_late`.

Whoever holds the schedule's lock writes down that it was told, and asks for the callback, in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, router, transaction
from django.db.models import Q, QuerySet

from jobs import callbacks, conf, enqueueing, registry
from jobs.errors import JobsError
from jobs.models import JobRun, Schedule, ScheduleTick
from jobs.models.runs import PENDING_STATES
from jobs.models.schedules import TickState
from jobs.policy.late_tick import LateTick
from jobs.policy.scheduling import Terms
from jobs.registry import Bound, Placing
from jobs.schedules.asking import late_seconds
from jobs.signals import schedule_late

logger = logging.getLogger(__name__)

NOBODY_LOOKED = "no worker looked in time"
NOT_STARTED = "its run has not started"
# How far back ticks are looked at for runs that have not started.
OPEN_LATE = timedelta(days=7)


def look(schedule: Schedule, terms: Terms, *, now: datetime) -> None:
    """Tell of each due time that is late by now, and look at none of them again."""
    for tick in ScheduleTick.objects.filter(schedule=schedule, late_at__lte=now).order_by("due_at"):
        why = why_late(tick, terms)
        tick.late_at = None
        if why:
            tick.late_told_at = now
            _tell(facts_of(tick, schedule, terms, why, now=now), terms)
        tick.save(update_fields=["late_at", "late_told_at"])


def why_late(tick: ScheduleTick, terms: Terms) -> str:
    """Why the run of this due time did not start in time; empty where it did, or was not to start any more."""
    if tick.state != TickState.ASKED:
        return tick.why
    if tick.ticked_at - tick.due_at > timedelta(seconds=late_seconds(terms) + terms.jitter):
        return f"{NOBODY_LOOKED}; its run was asked for at {tick.ticked_at:%Y-%m-%d %H:%M:%S %Z}"
    return NOT_STARTED if tick.run and unstarted([tick.run]) else ""


def unstarted(runs: Iterable[UUID]) -> set[UUID]:
    """Those of the runs that have neither begun nor ended without that."""
    waiting = JobRun.objects.filter(pk__in=list(runs), state__in=PENDING_STATES, attempts=0, life=0)
    return set(waiting.filter(started_at__isnull=True).values_list("pk", flat=True))


def is_late(tick: ScheduleTick, run: JobRun | None, *, now: datetime) -> bool:
    """Whether the run of this due time has not started for too long, and may start yet."""
    if tick.state != TickState.ASKED or run is None or run.state not in PENDING_STATES:
        return False
    has_begun = run.attempts or run.life or run.started_at
    return not has_begun and (tick.late_told_at is not None or (tick.late_at is not None and tick.late_at <= now))


def late(*, now: datetime) -> QuerySet[ScheduleTick]:
    """The due times of which `is_late` holds."""
    unstarted = JobRun.objects.filter(state__in=PENDING_STATES, attempts=0, life=0, started_at__isnull=True)
    told = Q(late_told_at__isnull=False, due_at__gte=now - OPEN_LATE) | Q(late_at__lte=now)
    return ScheduleTick.objects.filter(told, state=TickState.ASKED, run__in=unstarted.values("pk"))


def facts_of(tick: ScheduleTick, schedule: Schedule, terms: Terms, why: str, *, now: datetime) -> LateTick:
    """What listeners and the callback are told."""
    zone = terms.cron.zone
    return LateTick(
        schedule=schedule.name,
        job=schedule.job,
        queue=schedule.queue,
        due=tick.due_at.astimezone(zone).isoformat(),
        until=(tick.until_at or tick.due_at).astimezone(zone).isoformat(),
        count=tick.count,
        state=tick.state,
        why=why,
        run_id=str(tick.run or ""),
        late_seconds=round((now - tick.due_at).total_seconds(), 3),
        at=now.astimezone(zone).isoformat(),
    )


def _tell(facts: LateTick, terms: Terms) -> None:
    for name in dict.fromkeys(map(registry.full_name, _callbacks(terms))):
        _ask_for(name, facts)
    transaction.on_commit(partial(_say, facts), using=router.db_for_write(ScheduleTick))


def _callbacks(terms: Terms) -> Iterator[str]:
    yield from filter(None, (terms.on_late, conf.get().ON_LATE))


def _ask_for(name: str, facts: LateTick) -> None:
    """Enqueue a callback in the transaction that is open; one that cannot be is logged."""
    placing = Placing(correlation=f"{callbacks.MARK}schedule {facts['schedule']}"[:100])
    try:
        with transaction.atomic(using=router.db_for_write(JobRun)):
            enqueueing.enqueue(registry.get(name), [Bound((facts,), {})], placing)
    except (OperationalError, InterfaceError):
        raise
    except (JobsError, DatabaseError, ValueError) as error:
        logger.error("the callback %s cannot be enqueued: %s", name, error, extra={"schedule": facts["schedule"]})


def _say(facts: LateTick) -> None:
    more = f" and {facts['count'] - 1} more until {facts['until']}" if facts["count"] > 1 else ""
    words = "schedule %s did not start what was due at %s%s: %s"
    logger.error(words, facts["schedule"], facts["due"], more, facts["why"], extra={"late": dict(facts)})
    schedule_late.send_robust(facts["schedule"], facts=facts)
