"""What a run's page says of why it is not running, with links to what helps. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

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
    cure_label: str = ""
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
    answer = why.of(run, attempts=attempts)
    shown = [_shown(why.told(reason), run) for reason in answer.reasons]
    if not shown:
        return None
    unchecked = [why.title_of(check) for check in answer.unchecked]
    return WhySection(shown[0], shown[1:], unchecked, answer.at, run.state in PENDING_STATES, answer)


def _shown(told: Told, run: JobRun) -> Shown:
    address, label = _cure(Why(told.code), run)
    return Shown(told, address, label, _run_address(told.run))


_QUEUES = ("admin:jobs_queuepause_changelist", gettext_lazy("Queues"))
_WORKERS = ("admin:jobs_workerprocess_changelist", gettext_lazy("Workers"))
_CIRCUITS_AND_LOCKS = ("admin:jobs_circuitsandlocks_changelist", gettext_lazy("Circuits and locks"))
# The page where each can be mended, and what it is called.
_CURES: dict[Why, tuple[str, str | Promise]] = {
    Why.PAUSED: _QUEUES,
    Why.AHEAD: _QUEUES,
    Why.LOCK: _CIRCUITS_AND_LOCKS,
    Why.CIRCUIT: _CIRCUITS_AND_LOCKS,
    Why.FUSE: ("admin:jobs_fuse_changelist", gettext_lazy("Fuses")),
    Why.NOT_PUSHED: _WORKERS,
    Why.NO_WORKER: _WORKERS,
    Why.QUEUE_UNSERVED: _WORKERS,
    Why.QUIET: _WORKERS,
    Why.NOT_COMPARED: _WORKERS,
    Why.JOURNAL_FULL: _WORKERS,
    Why.RECORDER_BEHIND: _WORKERS,
    Why.LEASE_ENDED: _WORKERS,
    Why.LOST: _WORKERS,
    Why.UNKNOWN_JOB: _WORKERS,
    Why.NEXT: _WORKERS,
}


def _cure(code: Why, run: JobRun) -> tuple[str, str]:
    """Where it can be mended, and what that is called; empty where there is no such page."""
    if code in (Why.SLOT, Why.RATE_LIMIT):
        address = f"{reverse('admin:jobs_jobrun_changelist')}?job={quote(run.name)}&state=running"
        return address, _("Runs of this job that run")
    if code not in _CURES:
        return "", ""
    name, label = _CURES[code]
    return reverse(name), str(label)


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
