"""What stands around every page of the console: navigation, counts by state, how far is recorded, what is wrong.

It is remembered for some seconds by each process, so that pages which many look at cost little.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from jobs import queues
from jobs.admin import panels, sections
from jobs.admin.keyset import Counted, counted
from jobs.admin.panels import Panel
from jobs.alerts import open_incidents
from jobs.broker import inspect
from jobs.models import DeadJob, Incident, JobRun, QueuePause, RunState

_REMEMBERED_SECONDS = 3.0
# On a busy system the lag stays under a second.
BEHIND_AFTER = timedelta(seconds=10)
COUNTED = (RunState.RUNNING, RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING, RunState.DEAD)


@dataclass(frozen=True)
class Seen:
    """How things were at `at`. A panel without a value is not known."""

    at: datetime
    counts: Panel[list[Counted]]
    lag: Panel[timedelta]
    incidents: Panel[list[Incident]]
    pauses: Panel[list[QueuePause]]

    @property
    def states(self) -> list[tuple[Counted, str]]:
        """Each count, and the list that it counts."""
        return [(each, address_of(each.name)) for each in self.counts.value or ()]

    @property
    def has_counted(self) -> bool:
        """Whether there is any run that is counted here."""
        return any(each.count for each in self.counts.value or ())

    @property
    def redis_answers(self) -> bool:
        """Whether Redis answered."""
        return self.lag.value is not None

    @property
    def recorded_up_to(self) -> datetime | None:
        """What happened before this is in the tables; None where nobody knows."""
        return None if self.lag.value is None else self.at - self.lag.value

    @property
    def is_behind(self) -> bool:
        """Whether the tables are too old to be believed."""
        return self.lag.value is not None and self.lag.value > BEHIND_AFTER


@dataclass(frozen=True)
class Shell:
    """What a person is shown around each page; without the permission to see the console, its navigation alone."""

    groups: sections.Groups
    seen: Seen | None


_seen: tuple[float, Seen] | None = None


def context(request: HttpRequest, site: AdminSite) -> dict[str, Any]:
    """What the templates of all pages are given."""
    return {
        **site.each_context(request),
        "shell": Shell(sections.open_to(request), seen() if request.user.has_perm(sections.VIEW_CONSOLE) else None),
        # The console's own navigation stands above; its tables want the width.
        "is_nav_sidebar_enabled": False,
    }


def seen() -> Seen:
    """How things are, or were a few seconds ago."""
    global _seen
    now = time.monotonic()
    if _seen is None or now - _seen[0] > _REMEMBERED_SECONDS:
        _seen = (now, _look())
    return _seen[1]


def forget() -> None:
    """Look again for the next page: something was changed."""
    global _seen
    _seen = None


def address_of(state: str) -> str:
    """The list that a count by state counts."""
    if state == RunState.DEAD:
        return reverse("admin:jobs_deadjob_changelist")
    return f"{reverse('admin:jobs_jobrun_changelist')}?{urlencode({'state': state})}"


def _look() -> Seen:
    return Seen(
        at=timezone.now(),
        counts=panels.load(lambda: counted(_by_state(), on=JobRun.objects.all())),
        lag=panels.load(lambda: timedelta(seconds=inspect.journal_now().lag_seconds)),
        incidents=panels.load(open_incidents),
        pauses=panels.load(lambda: list(queues.paused().values())),
    )


def _by_state() -> Mapping[str, QuerySet[Any]]:
    runs = {state.value: JobRun.objects.filter(state=state) for state in COUNTED}
    return {**runs, RunState.DEAD.value: DeadJob.objects.filter(resolution="")}
