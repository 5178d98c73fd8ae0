"""Tells an error tracker of dead jobs, or of each failed attempt. Which are told is decided in `callbacks`.

1. Who stores a death enqueues `jobs.tell_error_tracker` in the same transaction: so a crash, an expiry and an unknown
   job are told as well, once, and neither a slow nor a broken tracker holds up the recorder.
2. That job comes here: the rows give what it was not told, and the tracker gets it.
3. What the tracker raises is retried; the event has the same id each time.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib.util import find_spec

from django.utils.module_loading import import_string

from jobs import conf, tracing
from jobs.models import JobAttempt, JobRun
from jobs.policy.failed_run import FailedRun, TrackedFailure

Tracker = Callable[[TrackedFailure], None]

SENTRY = "sentry"
_OURS = uuid.UUID("6b6c2d5e-7a43-5f0e-9d55-0f2c1a4b8e91")


def tell(failed: FailedRun) -> None:
    """Tell the tracker that the settings name. Raises what it raises; does nothing where there is none."""
    if conf.get().ERROR_TRACKER:
        tracker()(facts(failed))


def tracker() -> Tracker:
    """The function that is told. Raises `ImportError`."""
    name = conf.get().ERROR_TRACKER
    path = "jobs.sentry.tell" if name == SENTRY else name
    found: Tracker = import_string(path)
    return found


def facts(failed: FailedRun) -> TrackedFailure:
    """What is told of a failure. What retention has removed by now is left empty."""
    run = JobRun.objects.filter(pk=failed["run_id"]).first()
    run_id = uuid.UUID(failed["run_id"])
    attempts = JobAttempt.objects.filter(run_id=run_id, number=failed["attempt"], ended_at=failed["at"])
    attempt = attempts.last() or JobAttempt()
    return TrackedFailure(
        **failed,
        event_id=uuid.uuid5(_OURS, f"{failed['run_id']} {failed['attempt']} {failed['at']}").hex,
        worker=attempt.worker,
        release=attempt.release,
        correlation=(run.correlation if run else "") or failed["run_id"],
        trace=tracing.trace_of(run.options.get("traceparent", "")) if run else "",
        fingerprint=attempt.fingerprint,
        traceback=attempt.traceback,
        log=attempt.log or [],
    )


def prepare() -> None:
    """Keep Sentry from taking the log lines of deaths for events: it is told of them."""
    if conf.get().ERROR_TRACKER == SENTRY and find_spec("sentry_sdk") is not None:
        from jobs import sentry

        sentry.ignore_lines()
