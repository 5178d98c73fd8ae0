"""What a run's page says of why it is not running, with links to what helps. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from jobs import why
from jobs.models import JobAttempt, JobRun
from jobs.models.runs import PENDING_STATES
from jobs.policy.reasons import Why
from jobs.why import Answer, Told


@dataclass(frozen=True)
class Shown:
    """A reason on the page: its words, the page where it can be mended, and that of the run to blame."""

    told: Told
    cure_address: str = ""
    run_address: str = ""


@dataclass(frozen=True)
class WhySection:
    """`first` counts most; `others` hold as well. `unchecked` are the names of what could not be looked at."""

    first: Shown
    others: list[Shown]
    unchecked: list[str]
    at: datetime
    is_pending: bool
    answer: Answer


def why_section(run: JobRun, attempts: Sequence[JobAttempt]) -> WhySection | None:
    """What the page says; None where nothing can be said. `attempts` are the run's, the latest first."""
    answer = why.of(run, latest=attempts[0] if attempts else None)
    shown = [_shown(why.told(reason), run) for reason in answer.reasons]
    if not shown:
        return None
    unchecked = [why.title_of(check) for check in answer.unchecked]
    return WhySection(shown[0], shown[1:], unchecked, answer.at, run.state in PENDING_STATES, answer)


def _shown(told: Told, run: JobRun) -> Shown:
    return Shown(told, _cure_address(Why(told.code), run), _run_address(told.run))


# The page where each can be mended.
_CURES = {
    Why.PAUSED: "admin:jobs_queuepause_changelist",
    Why.LOCK: "admin:jobs_circuitsandlocks_changelist",
    Why.CIRCUIT: "admin:jobs_circuitsandlocks_changelist",
    Why.FUSE: "admin:jobs_fuse_changelist",
    Why.NO_WORKER: "admin:jobs_workerprocess_changelist",
    Why.QUEUE_UNSERVED: "admin:jobs_workerprocess_changelist",
    Why.QUIET: "admin:jobs_workerprocess_changelist",
    Why.NOT_COMPARED: "admin:jobs_workerprocess_changelist",
    Why.JOURNAL_FULL: "admin:jobs_workerprocess_changelist",
    Why.RECORDER_BEHIND: "admin:jobs_workerprocess_changelist",
    Why.LEASE_ENDED: "admin:jobs_workerprocess_changelist",
    Why.NEXT: "admin:jobs_workerprocess_changelist",
    Why.AHEAD: "admin:jobs_queuepause_changelist",
}


def _cure_address(code: Why, run: JobRun) -> str:
    if code in (Why.SLOT, Why.RATE_LIMIT):
        return f"{reverse('admin:jobs_jobrun_changelist')}?job={quote(run.name)}&state=running"
    name = _CURES.get(code)
    try:
        return reverse(name) if name else ""
    except NoReverseMatch:
        return ""


def _run_address(run_id: str) -> str:
    """The page of another run; empty for what is no run of ours."""
    try:
        return reverse("admin:jobs_jobrun_change", args=[UUID(run_id)]) if run_id else ""
    except ValueError:
        return ""


def heading(section: WhySection) -> str:
    """What the section is called."""
    if section.is_pending and Why(section.first.told.code) not in (Why.RUNNING, Why.STOPPING, Why.ENDED_UNRECORDED):
        return _("Why isn't it running?")
    return _("How it stands")
