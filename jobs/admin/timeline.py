"""The life of a run as a list of events, from the rows that recorded it. Asks no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from jobs.models import DeadJob, JobAttempt, JobRun, RunState
from jobs.models.dead import Resolution
from jobs.models.runs import PENDING_STATES
from jobs.policy.outcome import Expired
from jobs.why import Told

GOOD, BAD, WAITING, PLAIN = "good", "bad", "waiting", "plain"
_TONES = {
    "retry": WAITING,
    "bury": BAD,
    "put off": WAITING,
    "hand back": PLAIN,
    "isolate": PLAIN,
    "discard": PLAIN,
    "cancel": PLAIN,
    "done": GOOD,
}


@dataclass(frozen=True)
class Event:
    """One thing that happened, or will. `tone` is good, bad, waiting or plain; `attempt` brings its error."""

    at: datetime
    title: str
    tone: str = PLAIN
    text: str = ""
    attempt: JobAttempt | None = None
    ahead: bool = False


def timeline(
    run: JobRun,
    attempts: Iterable[JobAttempt],
    burials: Sequence[DeadJob],
    now: datetime,
    why: Told | None = None,
) -> list[Event]:
    """What happened to a run in the order of time, and what comes next. `why` says why it is not running."""
    tried = [_attempt(attempt, run) for attempt in attempts]
    events = [*_asked(run, was_tried=bool(tried)), *_pushed(run), *tried]
    for burial in burials:
        events += _burial(burial)
    if not _is_told(run, burials):
        events += _ended(run)
    # The sort is stable, so of two events in one millisecond the cause stays above its effect.
    events.sort(key=lambda event: event.at)
    return events + _now(run, now, why)


def _asked(run: JobRun, *, was_tried: bool) -> list[Event]:
    """Once it was tried, `due_at` is that of its next attempt, whether that one counted or was put off."""
    is_for_later = run.due_at and run.due_at > run.created_at and not run.attempts and not was_tried
    text = _("to run not before its time") if is_for_later else ""
    return [Event(run.created_at, _("Asked for"), text=text)]


def _pushed(run: JobRun) -> list[Event]:
    if run.pushed_at is None:
        return []
    return [Event(run.pushed_at, _("Given to Redis"), text=_("queue %(queue)s") % {"queue": run.queue})]


def _attempt(attempt: JobAttempt, run: JobRun) -> Event:
    if attempt.outcome == "fused":
        return Event(attempt.ended_at, _("Discarded by a fuse, and not started"), text=attempt.reason)
    if attempt.outcome == Expired.name:
        return Event(attempt.ended_at, _("Expired, and not started"), text=attempt.error_message, tone=BAD)
    title = _("Attempt %(number)d of %(most)d: %(outcome)s")
    if attempt.life:
        title = _("Life %(life)d, attempt %(number)d of %(most)d: %(outcome)s")
    words: dict[str, Any] = {
        "life": attempt.life + 1,
        "number": attempt.number,
        "most": run.max_attempts,
        "outcome": attempt.outcome,
    }
    return Event(attempt.ended_at, title % words, tone=_TONES.get(attempt.verdict, PLAIN), attempt=attempt)


def _burial(burial: DeadJob) -> list[Event]:
    buried = Event(burial.died_at, _("Buried: %(reason)s") % {"reason": burial.get_reason_display()}, tone=BAD)
    if burial.resolved_at is None:
        return [buried]
    title = _("Retried by %(actor)s") if burial.resolution == Resolution.REQUEUED else _("Discarded by %(actor)s")
    resolved = Event(burial.resolved_at, title % {"actor": burial.resolved_by}, text=burial.note)
    return [buried, resolved]


def _is_told(run: JobRun, burials: Sequence[DeadJob]) -> bool:
    """Whether a burial tells the run's end already, or that a person discarded it."""
    was_discarded = bool(burials) and burials[-1].resolution == Resolution.DISCARDED
    return run.state == RunState.DEAD or (run.state == RunState.DISCARDED and was_discarded)


def _ended(run: JobRun) -> list[Event]:
    if run.ended_at is None:
        return []
    if run.state == RunState.SUCCEEDED:
        title = _("Succeeded at attempt %(number)d") % {"number": run.attempts}
        return [*_started(run), Event(run.ended_at, title, tone=GOOD)]
    return [Event(run.ended_at, str(RunState(run.state).label).capitalize())]


def _started(run: JobRun) -> list[Event]:
    if run.started_at is None:
        return []
    title = _("Attempt %(number)d of %(most)d started") % {"number": run.attempts, "most": run.max_attempts}
    return [Event(run.started_at, title, text=_("on %(worker)s") % {"worker": run.worker} if run.worker else "")]


def _now(run: JobRun, now: datetime, why: Told | None) -> list[Event]:
    if run.state not in PENDING_STATES:
        return []
    if run.state == RunState.RUNNING:
        text = _("on %(worker)s") % {"worker": run.worker} if run.worker else ""
        title = _("Attempt %(number)d is running") % {"number": run.attempts}
        return [Event(run.started_at or now, title, tone=WAITING, text=text, ahead=True)]
    if run.due_at and run.due_at > now:
        title = _("Next attempt") if run.state == RunState.RETRYING else _("Due")
        return [Event(run.due_at, title, tone=WAITING, ahead=True)]
    title = why.title if why else _("Waiting for a worker of queue %(queue)s") % {"queue": run.queue}
    return [Event(now, title, tone=WAITING, text=why.text if why else "", ahead=True)]
