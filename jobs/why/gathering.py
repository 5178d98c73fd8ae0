"""Gathers what may keep a run from running: a few rows, and one or two round trips to Redis. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from jobs import circuits, conf, locks, queues, registry
from jobs.broker import whereabouts
from jobs.errors import BrokerUnavailable
from jobs.models import Fuse, JobAttempt, JobRun, MetricMinute
from jobs.models.runs import PENDING_STATES
from jobs.policy import why
from jobs.policy.in_line import count_ahead
from jobs.policy.reasons import Evidence, Keeper, Reason, RunFacts, Why
from jobs.policy.whereabouts import Whereabouts

# Whole minutes over which a queue's rate is counted.
_RATE_MINUTES = 5
# What the sweep looks at in a minute, and from what age on.
_SWEPT_A_MINUTE = 5000
_SWEPT_FROM = timedelta(minutes=2)
# As `errors.LockPutOff` writes it.
_LOCK = re.compile(r"lock (.+) (?:is held|cannot be asked for)")


@dataclass(frozen=True)
class Answer:
    """Why a run is not running, the reason that counts first. `unchecked` could not be looked at; `at` is when."""

    run_id: str
    job: str
    queue: str
    state: str
    at: datetime
    reasons: list[Reason] = field(default_factory=list)
    unchecked: tuple[Why, ...] = ()

    @property
    def first(self) -> Reason | None:
        return self.reasons[0] if self.reasons else None


def of(run: JobRun, *, attempts: Sequence[JobAttempt] | None = None) -> Answer:
    """Why this run is not running. `attempts` are its own, the latest first; looked up where they are not given.

    Does without Redis, and says then what could not be looked at.
    """
    is_pending = run.state in PENDING_STATES
    place = _place(run.rq_id, run.queue) if is_pending else None
    if attempts is None:
        attempts = list(run.history.order_by("-ended_at", "-pk")[:1]) if is_pending else []
    facts = _facts_of_row(run, attempts[0] if attempts else None)
    return _answer(str(run.pk), run.name, _evidence(facts, run.name, place, equal=_equal(run)))


def of_id(run_id: str) -> Answer | None:
    """The same by a run's id or RQ's, also for one that has no row; None where nobody knows it.

    Raises `BrokerUnavailable` where it has no row and Redis does not answer.
    """
    row = _row(run_id)
    if row is not None:
        return of(row)
    queue = whereabouts.look(run_id, "").queue_name
    if not queue:
        return None
    place = whereabouts.look(run_id, queue)
    return _answer(run_id, place.job, _evidence(_facts_of_hash(place, queue), place.job, place))


def _row(run_id: str) -> JobRun | None:
    rows = JobRun.objects.defer("payload")
    if found := rows.filter(rq_id=run_id).first():
        return found
    # A foreign run has an id of its own in RQ.
    try:
        return rows.filter(pk=UUID(run_id)).first()
    except ValueError:
        return None


def _answer(run_id: str, job: str, evidence: Evidence) -> Answer:
    run = evidence.run
    found = why.reasons(evidence)
    return Answer(run_id, job, run.queue, run.state, evidence.now, found, why.unchecked(evidence))


def _place(run_id: str, queue: str) -> Whereabouts | None:
    try:
        return whereabouts.look(run_id, queue)
    except BrokerUnavailable:
        return None


def _facts_of_row(run: JobRun, latest: JobAttempt | None) -> RunFacts:
    return RunFacts(
        state=run.state,
        queue=run.queue,
        created_at=run.created_at,
        due_at=run.due_at,
        pushed_at=run.pushed_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        attempts=run.attempts,
        max_attempts=run.max_attempts,
        worker=run.worker,
        error_class=run.error_class,
        error_message=run.error_message,
        outcome=latest.outcome if latest else "",
        verdict=latest.verdict if latest else "",
        tried_at=latest.ended_at if latest else None,
    )


def _facts_of_hash(place: Whereabouts, queue: str) -> RunFacts:
    """Of a run without a row: a failed one has one, so it waits or runs."""
    states = {"started": "running", "scheduled": "scheduled", "finished": "succeeded", "failed": "dead"}
    state = states.get(place.status, "queued")
    return RunFacts(state, queue, created_at=place.ready_at or place.at, attempts=place.attempts, has_row=False)


def _evidence(facts: RunFacts, job: str, place: Whereabouts | None, *, equal: str = "") -> Evidence:
    now = place.at if place else timezone.now()
    if facts.state not in PENDING_STATES:
        return Evidence(facts, now, place, equal=equal)
    fuse = place.lane.fuse if place and place.lane else None
    return Evidence(
        facts,
        now,
        place,
        pause=_pause(facts.queue),
        fuse=_fuse(fuse) if fuse is not None else None,
        circuit=_circuit(facts, job) if place else None,
        lock=_lock(facts) if place else None,
        per_second=_per_second(facts.queue, now) if place and count_ahead(place) else None,
        is_known=registry.find(job) is not None or not facts.has_row,
        journal_limit=conf.get().JOURNAL_LIMIT,
        repair=_repair(place),
    )


def _pause(queue: str) -> Keeper | None:
    row = queues.paused().get(queue)
    if row is None:
        return None
    return Keeper(queue, row.actor, row.reason, since=row.paused_at, until=row.until)


def _fuse(number: int) -> Keeper | None:
    row = Fuse.objects.filter(pk=number).first()
    if row is None:
        return None
    return Keeper(
        row.name, row.actor, row.reason, f"{row.action} {row.rate}".strip(), since=row.created_at, until=row.expires_at
    )


def _circuit(facts: RunFacts, job: str) -> Keeper | None:
    known = registry.find(job)
    name = known.options.circuit if known else None
    if name is None and facts.error_class.endswith(".CircuitOpen"):
        name = facts.error_message.removeprefix("circuit ").removesuffix(" is open")
    try:
        status = circuits.status(name) if name else None
    except (BrokerUnavailable, ValueError):
        return None
    if status is None:
        return None
    until = status.held_until if status.held_by else status.probed_at
    return Keeper(status.name, status.held_by, status.reason, status.phase, since=status.since, until=until)


def _lock(facts: RunFacts) -> Keeper | None:
    found = _LOCK.fullmatch(facts.error_message) if facts.outcome == "postponed" else None
    if not found:
        return None
    try:
        held = next((one for one in locks.held() if one.name == found[1]), None)
    except BrokerUnavailable:
        return None
    if held is None:
        return Keeper(found[1])
    return Keeper(held.name, str(held.holder), run=held.holder.run, since=held.since, until=held.expires_at)


def _per_second(queue: str, now: datetime) -> float | None:
    """How many runs of the queue started in a second of late, None where none did."""
    minute = now.replace(second=0, microsecond=0)
    rows = MetricMinute.objects.filter(
        minute__gte=minute - timedelta(minutes=_RATE_MINUTES), minute__lte=minute, queue=queue
    )
    sums: dict[str, Any] = rows.aggregate(started=Sum("started"))
    seconds = _RATE_MINUTES * 60 + now.second + 1
    return sums["started"] / seconds if sums["started"] else None


def _repair(place: Whereabouts | None) -> timedelta:
    """How long until the sweep has come by: it looks at so many pending rows in a minute."""
    waiting = (place.queue.length + place.laned) if place else 0
    return _SWEPT_FROM + timedelta(minutes=1 + waiting // _SWEPT_A_MINUTE)


def _equal(run: JobRun) -> str:
    """The pending run by which an ended one of a unique job cannot be retried."""
    if run.state != "dead" or not run.unique_key:
        return ""
    found = JobRun.objects.filter(unique_key=run.unique_key, state__in=PENDING_STATES).values_list("pk", flat=True)
    return str(next(iter(found[:1]), ""))
