"""Counts failures by their cause, each once, in the recorder's transaction. An attempt that succeeded costs nothing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import router, transaction

from jobs.models import DeadJob, FailureCause, JobAttempt
from jobs.models.causes import CauseState
from jobs.policy import causes as policy
from jobs.policy.fingerprint import FRAMES, LENGTH, Failure

logger = logging.getLogger(__name__)

# A job whose every message is another one must not fill the table: its later causes are one.
MOST_PER_JOB = 1_000
_HOUR_SECONDS = 3600
_COUNTED = (
    "count",
    "hours",
    "sample",
    "last_seen_at",
    "last_release",
    "last_run",
    "state",
    "snoozed_until",
    "regressed_in",
)


@dataclass
class _Seen:
    """What some entries tell of one cause. `buried` are the burials that are to name it."""

    failure: Failure
    message: str
    attempts: list[JobAttempt] = field(default_factory=list)
    buried: list[DeadJob] = field(default_factory=list)


class Failures:
    """The failures that some entries tell of, by fingerprint."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def add(self, attempt: JobAttempt, data: dict[str, Any], dead_job: DeadJob | None) -> None:
        """Note an attempt that went wrong, and the burial that followed if one did."""
        told = _told(data)
        if told is None and dead_job is None:
            return
        failure = Failure(attempt.run.name, (attempt.error_class or attempt.outcome)[:200], attempt.error_message)
        fingerprint, message, frames = told or (failure.fingerprint, failure.normal_message, ())
        place = Failure(failure.job, failure.error_class, failure.message, frames)
        seen = self._seen.setdefault(fingerprint, _Seen(place, message))
        attempt.fingerprint = fingerprint
        seen.attempts.append(attempt)
        if dead_job is not None:
            seen.buried.append(dead_job)

    def store(self) -> None:
        """Write them, before the attempts and burials that name them are written."""
        if not self._seen:
            return
        known = self._known()
        stored_before = self._stored_before()
        for fingerprint, seen in list(self._seen.items()):
            if fingerprint not in known:
                known[fingerprint] = self._begin(fingerprint, seen, known)
            cause = known[fingerprint]
            for dead_job in seen.buried:
                dead_job.cause = cause
            _count(cause, [one for one in seen.attempts if one.token not in stored_before])
        FailureCause.objects.bulk_update({cause.pk: cause for cause in known.values()}.values(), _COUNTED)

    def _known(self) -> dict[str, FailureCause]:
        # Locked in one order, for people decide on causes meanwhile.
        rows = FailureCause.objects.select_for_update().filter(fingerprint__in=self._seen).order_by("pk")
        return {cause.fingerprint: cause for cause in rows}

    def _stored_before(self) -> Collection[str]:
        """The attempts that were counted before: a journal that is read again tells of them again."""
        tokens = [attempt.token for seen in self._seen.values() for attempt in seen.attempts]
        return set(JobAttempt.objects.filter(token__in=tokens).values_list("token", flat=True))

    def _begin(self, fingerprint: str, seen: _Seen, known: dict[str, FailureCause]) -> FailureCause:
        """The row of a cause that is new; where a job has too many, the one for all that are more."""
        failure, message = seen.failure, seen.message
        if FailureCause.objects.filter(name=failure.job)[MOST_PER_JOB - 1 : MOST_PER_JOB].exists():
            various = Failure(failure.job, "(various)")
            fingerprint, failure, message = various.fingerprint, various, ""
            for attempt in seen.attempts:
                attempt.fingerprint = fingerprint
            if fingerprint in known:
                return known[fingerprint]
        first = min(seen.attempts, key=lambda attempt: attempt.ended_at)
        cause, is_new = FailureCause.objects.select_for_update().get_or_create(
            fingerprint=fingerprint,
            defaults={
                "name": failure.job,
                "error_class": failure.error_class,
                "message": message,
                "frames": list(failure.frames),
                "first_seen_at": first.ended_at,
                "last_seen_at": first.ended_at,
                "first_release": first.release,
            },
        )
        if is_new:
            facts = {"job": cause.name, "error": cause.error_class, "cause": cause.pk, "release": first.release}
            _log(logging.INFO, "%s fails in a new way: %s", cause, facts)
        known[fingerprint] = cause
        return cause


def _told(data: dict[str, Any]) -> tuple[str, str, tuple[str, ...]] | None:
    """Fingerprint, normal message and frames as the worker told them; None where nothing went wrong."""
    told = data.get("cause")
    if told is None:
        return None
    frames = tuple(str(frame)[:200] for frame in told["frames"][-FRAMES:])
    return str(told["fingerprint"])[:LENGTH], str(told["message"])[:300], frames


def _count(cause: FailureCause, attempts: Sequence[JobAttempt]) -> None:
    """Add these attempts to their cause."""
    if not attempts:
        return
    cause.count += len(attempts)
    cause.hours = policy.hours_after(cause.hours, Counter(hour_of(attempt.ended_at) for attempt in attempts))
    last = max(attempts, key=lambda attempt: attempt.ended_at)
    if last.ended_at >= cause.last_seen_at:
        cause.last_seen_at, cause.last_release, cause.last_run = last.ended_at, last.release, last.run_id
        cause.sample = last.error_message[:500]
    _wake(cause, last)


def _wake(cause: FailureCause, last: JobAttempt) -> None:
    state = policy.state_after(
        cause.state, seen_at=last.ended_at, decided_at=cause.decided_at, snoozed_until=cause.snoozed_until
    )
    if state == cause.state:
        return
    cause.state, cause.snoozed_until = state, None
    if state == CauseState.REGRESSED:
        cause.regressed_in = last.release
        facts = {"job": cause.name, "error": cause.error_class, "cause": cause.pk, "release": last.release}
        _log(logging.WARNING, "%s fails again in a way that was resolved: %s", cause, facts)


def _log(level: int, text: str, cause: FailureCause, facts: dict[str, Any]) -> None:
    words = (cause.name, cause.error_class)
    transaction.on_commit(lambda: logger.log(level, text, *words, extra=facts), using=router.db_for_write(FailureCause))


def hour_of(moment: datetime) -> int:
    """The number of an hour since 1970."""
    return int(moment.timestamp()) // _HOUR_SECONDS
