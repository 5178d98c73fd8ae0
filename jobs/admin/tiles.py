"""The tiles of the overview: one figure each, with the list that it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from jobs.admin.panels import Panel
from jobs.admin.shell import BEHIND_AFTER, COUNTED, Seen, address_of
from jobs.figures import Figures
from jobs.models import RunState
from jobs.queues import Standings
from jobs.relay import Backlog
from jobs.sweeping import Round

_WAITS_LONG = timedelta(minutes=5)


@dataclass(frozen=True)
class Tile:
    """A figure, what it is of, and where it leads. A value of None is not known.

    `at` and `since` say of when it is, and for how long it has been so. `is_bad`: somebody should look.
    """

    label: str | Promise
    value: int | timedelta | None
    address: str
    note: str = ""
    at: datetime | None = None
    since: timedelta | None = None
    more: bool = False
    is_bad: bool = False


@dataclass(frozen=True)
class Measured:
    """What the tiles tell of."""

    seen: Seen
    standings: Panel[Standings]
    workers: Panel[int]
    hour: Panel[Figures]
    backlog: Panel[Backlog]
    compared: Panel[Round | None]


def tiles(measured: Measured) -> list[Tile]:
    """All of them, in their order on the page. What nobody knows reads so, and never 0."""
    of_state = _by_state(measured.seen)
    return [
        *(of_state[state] for state in (RunState.RUNNING, RunState.QUEUED)),
        _oldest_wait(measured.standings.value),
        *(of_state[state] for state in (RunState.SCHEDULED, RunState.RETRYING, RunState.DEAD)),
        _failed(measured.hour.value),
        _not_pushed(measured.backlog.value),
        _lag(measured.seen.lag.value),
        _workers(measured.workers.value),
        _ledger(measured.compared),
    ]


def _by_state(seen: Seen) -> dict[RunState, Tile]:
    there = {RunState(each.name): each for each in seen.counts.value or ()}
    found = {}
    for state in COUNTED:
        counted = there.get(state)
        count, more = (counted.count, counted.more) if counted else (None, False)
        is_bad = state == RunState.DEAD and bool(count)
        found[state] = Tile(state.label, count, address_of(state), more=more, is_bad=is_bad)
    return found


def _oldest_wait(standings: Standings | None) -> Tile:
    address, label = reverse("admin:jobs_queuepause_changelist"), _("oldest wait")
    waits = [(one.oldest_wait_seconds, one.name) for one in (standings.queues if standings else ())]
    if not waits or any(seconds is None for seconds, _name in waits):
        return Tile(label, None, address)
    seconds, queue = max((seconds or 0.0, name) for seconds, name in waits)
    if not seconds:
        return Tile(label, timedelta(0), address)
    listed = f"{address_of(RunState.QUEUED)}&{urlencode({'queue': queue})}"
    wait = timedelta(seconds=seconds)
    return Tile(label, wait, listed, note=queue, is_bad=wait > _WAITS_LONG)


def _failed(hour: Figures | None) -> Tile:
    address = f"{reverse('admin:jobs_failurecause_changelist')}?{urlencode({'shown': 'all', 'seen': '1h'})}"
    count = hour.counts.failed if hour else None
    return Tile(_("failed in 1 h"), count, address, note=_("attempts"), is_bad=bool(count))


def _not_pushed(backlog: Backlog | None) -> Tile:
    address = f"{reverse('admin:jobs_jobrun_changelist')}?{urlencode({'q': 'is:unpushed'})}"
    since = backlog.lag if backlog and backlog.count else None
    return Tile(_("not pushed"), backlog.count if backlog else None, address, since=since)


def _lag(lag: timedelta | None) -> Tile:
    address = reverse("admin:jobs_workerprocess_changelist")
    return Tile(_("recorder lag"), lag, address, is_bad=lag is not None and lag > BEHIND_AFTER)


def _workers(count: int | None) -> Tile:
    return Tile(_("live workers"), count, reverse("admin:jobs_workerprocess_changelist"), is_bad=count == 0)


def _ledger(compared: Panel[Round | None]) -> Tile:
    label, address, found = _("ledger difference"), reverse("admin:jobs_jobrun_changelist"), compared.value
    if found is None:
        return Tile(label, None, address, note="" if compared.problem else _("not compared yet"))
    note = _("put right") if found.difference else _("compared")
    return Tile(label, found.difference, address, note=note, at=found.ended_at, is_bad=bool(found.difference))
