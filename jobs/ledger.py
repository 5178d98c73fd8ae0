"""Proves that no run is lost: what was enqueued = what has ended + what is pending, between the rows and Redis.

A pending run is accounted for when it is in a place in Redis, when the relay has yet to push it, or when its end
waits in the journal. Looking changes nothing; `reissue` puts back, `remove` takes away.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import router, transaction
from django.db.models import Count, QuerySet

from jobs import audit, conf, lost
from jobs.broker import journal, places
from jobs.broker.places import Place, Sought
from jobs.models import JobRun, RunState
from jobs.models.runs import ENDED_STATES, PENDING_STATES

_WORDS: dict[str, str] = {
    "lost": "in no place in Redis",
    "ended": "it has ended in Redis, and nothing tells how",
    "damaged": "its key in Redis is in use for something else",
}
_IN_A_PLACE = ("there", "queued", "behind", "damaged")
_FOR_RELAY = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)


@dataclass(frozen=True)
class Range:
    """Which runs are meant: asked for from `since` up to `until`, None for no limit; of one job or of all."""

    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None

    def rows(self) -> QuerySet[JobRun]:
        rows = JobRun.objects.all()
        if self.since is not None:
            rows = rows.filter(created_at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(created_at__lt=self.until)
        return rows if self.name is None else rows.filter(name=self.name)

    def has(self, row: JobRun) -> bool:
        after = self.since is None or row.created_at >= self.since
        before = self.until is None or row.created_at < self.until
        return after and before and self.name in (None, row.name)


@dataclass
class Account:
    """One job's runs. `pending` counts those that are accounted for."""

    name: str
    succeeded: int = 0
    dead: int = 0
    discarded: int = 0
    cancelled: int = 0
    pending: int = 0
    unaccounted: int = 0

    @property
    def enqueued(self) -> int:
        return self.ended + self.pending + self.unaccounted

    @property
    def ended(self) -> int:
        return self.succeeded + self.dead + self.discarded + self.cancelled

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"enqueued": self.enqueued}


@dataclass(frozen=True)
class Finding:
    """A run on which the rows and Redis do not agree, and why in words."""

    id: uuid.UUID
    name: str
    queue: str
    state: str
    created_at: datetime
    why: str


def accounts(chosen: Range) -> dict[str, Account]:
    """The rows by job, all pending ones accounted for: take what `unaccounted` finds from those."""
    found: dict[str, Account] = {}
    for name, state, count in chosen.rows().order_by().values_list("name", "state").annotate(Count("pk")):
        account = found.setdefault(name, Account(name))
        column = state if state in ENDED_STATES else "pending"
        setattr(account, column, getattr(account, column) + count)
    return dict(sorted(found.items()))


def unaccounted(chosen: Range) -> Iterator[Finding]:
    """The pending runs that will not go on by themselves. Raises `BrokerUnavailable`."""
    waiting = places.listed(conf.queue_names())
    told = _Told()
    for state in PENDING_STATES:
        for rows in lost.chunks(chosen.rows().filter(state=state)):
            suspects = [(row, place) for row, place in lost.find(rows, waiting=waiting) if place in _WORDS]
            yield from _confirmed(suspects, told) if suspects else ()


def surplus(chosen: Range) -> Iterator[Finding]:
    """Runs that have ended and would run again, for Redis has them in a place. Raises `BrokerUnavailable`."""
    for found in places.scan_all():
        lives = {run.run_id: run.life for run in found}
        suspects = [row for _, row in lost.ended(found) if chosen.has(row)]
        # What was under way when we found it may have ended since, and its row tells so.
        now = places.search([Sought(row.rq_id, row.queue, lives[row.rq_id]) for row in suspects])
        for row, place in zip(suspects, now, strict=True):
            if place in _IN_A_PLACE:
                yield _finding(row, "it has ended, and waits or runs in Redis")


def reissue(ids: Sequence[uuid.UUID], *, actor: str, reason: str, filter: dict[str, Any] | None = None) -> int:
    """Put these pending runs back into their queues, with an audit row. Returns how many were put back.

    Raises `BrokerUnavailable`, and then some may be back: it may be repeated.
    """
    with transaction.atomic(using=router.db_for_write(JobRun)):
        back = lost.restore(ids)
        # What ended in Redis since it was listed must not run again: the journal tells how, and we hold the rows.
        rest = JobRun.objects.filter(pk__in=ids, state__in=PENDING_STATES).exclude(pk__in=[row.pk for row in back])
        ended = [(row, place) for row, place in lost.search(list(rest)) if place == "ended"]
        back += lost.restore([row.pk for row in _unexplained(ended, _Told())], ended_too=True)
        if back:
            _audit("reissue", back, actor=actor, reason=reason, filter=filter)
    return len(back)


def remove(ids: Sequence[uuid.UUID], *, actor: str, reason: str, filter: dict[str, Any] | None = None) -> int:
    """Take these ended runs out of Redis, with an audit row. Returns how many there were."""
    rows = list(JobRun.objects.filter(pk__in=ids, state__in=ENDED_STATES))
    removed = places.remove([Sought(row.rq_id, row.queue, row.life) for row in rows])
    if removed:
        _audit("remove", rows, actor=actor, reason=reason, filter=filter)
    return removed


class _Told:
    """The runs whose end waits in the journal. Read when first asked for, and again for who is not in it."""

    def __init__(self) -> None:
        self._run_ids: set[str] = set()

    def has(self, run_ids: Iterable[str]) -> set[str]:
        wanted = set(run_ids)
        if not wanted <= self._run_ids:
            self._run_ids = journal.settled_run_ids()
        return wanted & self._run_ids


def _confirmed(suspects: Sequence[tuple[JobRun, Place]], told: _Told) -> Iterator[Finding]:
    """Those that are still as they were found: the system goes on while we look."""
    found = [(row, place) for row, place in lost.search(_unexplained(suspects, told)) if place in _WORDS]
    # What waited when its row was read may have run to its end before it was looked for.
    ended = [(row, place) for row, place in found if place == "ended"]
    unexplained = {row.pk for row in _unexplained(ended, told)}
    for row, place in found:
        if place != "ended" or row.pk in unexplained:
            yield _finding(row, _WORDS[place])


def _unexplained(suspects: Sequence[tuple[JobRun, Place]], told: _Told) -> list[JobRun]:
    """The rows of those that did not go on meanwhile, and of whose end the journal has nothing to tell."""
    ended = [row.rq_id for row, place in suspects if place == "ended"]
    # Before the rows: what the journal has no more is in them.
    in_journal = told.has(ended) if ended else set()
    rows = {row.pk: row for row in JobRun.objects.filter(pk__in=[row.pk for row, _ in suspects]).defer("payload")}
    still = [rows[row.pk] for row, _ in suspects if row.pk in rows and _is_as_it_was(rows[row.pk], row)]
    return [row for row in still if row.rq_id not in in_journal]


def _is_as_it_was(row: JobRun, before: JobRun) -> bool:
    same = (row.state, row.life, row.attempts) == (before.state, before.life, before.attempts)
    return same and not (row.pushed_at is None and row.state in _FOR_RELAY)


def _finding(row: JobRun, why: str) -> Finding:
    return Finding(row.pk, row.name, row.queue, row.state, row.created_at, why)


def _audit(action: str, rows: Sequence[JobRun], *, actor: str, reason: str, filter: dict[str, Any] | None) -> None:
    target = str(rows[0].pk) if len(rows) == 1 else ""
    audit.record(actor=actor, action=action, target=target, reason=reason, count=len(rows), filter=filter)
