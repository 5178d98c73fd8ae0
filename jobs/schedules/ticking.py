"""What every recording process does, at least once a second: asks for the runs that are due.

1. One query finds the schedules that have something to do.
2. Each is locked; the next who looks at it finds that it was seen to.
3. Its ticks, its runs and its next due time are written in one transaction. What dies before the commit has done
   nothing, and the next ticker does it; what dies after it leaves runs that the relay pushes.

That each due time happens once stands on the unique row, not on the lock: see decision 0046.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connections, router, transaction
from django.utils import timezone

from jobs import troubles
from jobs.errors import JobsError
from jobs.models import Schedule, ScheduleTick
from jobs.models.schedules import TickState
from jobs.policy import scheduling
from jobs.policy.cron import Passed
from jobs.policy.scheduling import Terms
from jobs.schedules import asking, lateness, operating, rows
from jobs.schedules.asking import late_seconds

logger = logging.getLogger(__name__)

# A schedule that was just added or changed is seen within this time.
LONGEST_WAIT_SECONDS = 1.0
# Who a pause is ended by, when its time is over.
END_OF_PAUSE = "the end of the pause"


def tick() -> float:
    """Do what is due. Returns the seconds until there is more to do, at most one. Raises an outage of the database."""
    now = timezone.now()
    horizon = now + timedelta(seconds=LONGEST_WAIT_SECONDS)
    soon = Schedule.objects.filter(look_at__lte=horizon).order_by("look_at").values_list("pk", "look_at")
    wait = LONGEST_WAIT_SECONDS
    for key, look_at in list(soon):
        assert look_at is not None
        if look_at <= now:
            _look(key, now, look_at)
        else:
            return max(0.0, min(wait, (look_at - timezone.now()).total_seconds()))
    return wait


def _look(key: int, now: datetime, look_at: datetime) -> None:
    """See to one schedule. What is wrong with it keeps no other back."""
    try:
        try:
            _see_to(key, now)
        except JobsError as error:
            _put_off(key, now, error)
    except Exception as error:
        if troubles.is_outage(error):
            raise
        if _is_new(key, look_at):
            logger.exception("schedule %d could not be looked at", key, extra={"schedule": key})


def _see_to(key: int, now: datetime, *, refusal: JobsError | None = None) -> None:
    using = router.db_for_write(Schedule)
    with transaction.atomic(using=using):
        can_skip = connections[using].features.has_select_for_update_skip_locked
        found = Schedule.objects.select_for_update(skip_locked=can_skip).filter(pk=key, look_at__lte=now).first()
        if found is not None:
            _Look(found, rows.terms_of(found), now, refusal).see_to_all()
            rows.set_look(found, now=now)
            found.save()


def _put_off(key: int, now: datetime, error: JobsError) -> None:
    """Leave what this code cannot ask for to workers whose code can, as in a deploy. Late, it has failed."""
    schedule = Schedule.objects.filter(pk=key).first()
    if schedule is None:
        return
    facts = {"schedule": schedule.name, "error": str(error)}
    try:
        overdue = _overdue(schedule, rows.terms_of(schedule), now)
    except JobsError:
        # Nobody here can say when it is due.
        overdue = False
    if overdue:
        _see_to(key, now, refusal=error)
    elif _is_new(key, schedule.look_at):
        logger.error("schedule %s is left to workers with other code: %s", schedule.name, error, extra=facts)


def _is_new(key: int, look_at: datetime | None) -> bool:
    """Whether this process has not said of this look at a schedule that nothing came of it."""
    before, _left[key] = _left.get(key), look_at
    return before != look_at


# When each schedule that this process left was to be looked at, so that it is said once.
_left: dict[int, datetime | None] = {}


def _overdue(schedule: Schedule, terms: Terms, now: datetime) -> bool:
    oldest = ScheduleTick.objects.filter(schedule=schedule, state=TickState.WAITING).order_by("due_at").first()
    since = min(filter(None, (schedule.next_due_at, oldest.due_at if oldest else None)), default=now)
    return now - since > timedelta(seconds=late_seconds(terms))


@dataclass(frozen=True)
class _Look:
    """One look at a locked schedule. With a `refusal` nothing can be asked for, and what was to be has failed by it."""

    schedule: Schedule
    terms: Terms
    now: datetime
    refusal: JobsError | None

    def see_to_all(self) -> None:
        until = self.schedule.paused_until
        if until is not None and until <= self.now:
            operating.end_pause(self.schedule, now=until - rows.INSTANT, actor=END_OF_PAUSE)
        if self.schedule.paused_at is None:
            self._see_to_waiting()
            self._see_to_due()
        lateness.look(self.schedule, self.terms, now=self.now)

    def _see_to_waiting(self) -> None:
        """Ask for the next of those that wait for the run before them, once that has ended."""
        for one in ScheduleTick.objects.filter(schedule=self.schedule, state=TickState.WAITING).order_by("due_at"):
            if self.terms.overlap != scheduling.ALLOW and asking.pending_runs(self.schedule):
                return
            if self.refusal is None:
                asking.enqueue(one, self.schedule, self.terms, now=self.now)
            else:
                one.state, one.why, one.late_at = TickState.FAILED, str(self.refusal)[:500], self.now
                one.save()

    def _see_to_due(self) -> None:
        schedule = self.schedule
        if schedule.next_due_at is None or schedule.next_due_at > self.now:
            return
        # One more than may run, to know the last that does not.
        most = scheduling.most_to_run(self.terms) + 1
        passed = self.terms.cron.passed(schedule.next_due_at - rows.INSTANT, self.now, most=most)
        if passed is not None:
            chosen = scheduling.to_run(passed, self.terms, now=self.now)
            self._note_missed(passed, chosen)
            for due in chosen:
                self._see_to_one(due)
            schedule.last_due_at = passed.latest[-1]
        rows.plan(schedule, now=self.now)

    def _note_missed(self, passed: Passed, chosen: Sequence[datetime]) -> None:
        if passed.count == len(chosen):
            return
        late = self.now - passed.first > timedelta(seconds=late_seconds(self.terms))
        more = "at least " if passed.capped else ""
        self._write(
            passed.first,
            TickState.MISSED,
            f"{more}{passed.count - len(chosen)} passed while no worker looked",
            late_at=self.now if late else None,
            until_at=passed.latest[len(passed.latest) - len(chosen) - 1],
            count=passed.count - len(chosen),
        )

    def _see_to_one(self, due: datetime) -> None:
        if self.refusal is not None:
            self._write(due, TickState.FAILED, str(self.refusal), late_at=self.now)
            return
        pending = asking.pending_runs(self.schedule) if self.terms.overlap != scheduling.ALLOW else []
        waiting = rows.waiting(self.schedule) if self.terms.overlap == scheduling.QUEUE else 0
        verdict = scheduling.on_overlap(self.terms, pending=bool(pending), waiting=waiting)
        if verdict == "ask":
            asking.ask(self.schedule, self.terms, due, now=self.now)
        elif verdict == "wait":
            late_at = due + timedelta(seconds=late_seconds(self.terms))
            self._write(due, TickState.WAITING, _behind(pending), late_at=late_at)
        else:
            full = f", and {waiting} wait already" if self.terms.overlap == scheduling.QUEUE else ""
            self._write(due, TickState.SKIPPED, f"{_behind(pending)}{full}")

    def _write(self, due: datetime, state: TickState, why: str, **facts: object) -> None:
        ScheduleTick.objects.get_or_create(
            schedule=self.schedule,
            due_at=due,
            defaults={"state": state, "why": why[:500], "ticked_at": self.now, **facts},
        )


def _behind(pending: Sequence[object]) -> str:
    if not pending:
        return "the due times before it still wait"
    return f"the run {pending[0]} before it is pending"
