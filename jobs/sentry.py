"""What Sentry is told of a failure: one event, made of what is stored. Needs `sentry-sdk`, and a project that calls
`sentry_sdk.init`."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger

from jobs.errors import ErrorTrackerNotReady
from jobs.policy import frames
from jobs.policy.attempt_log import is_line
from jobs.policy.failed_run import TrackedFailure

_FLUSH_SECONDS = 5.0
_TAGS = ("job", "queue", "run_id", "attempt", "outcome", "reason", "correlation", "worker")


def tell(failure: TrackedFailure) -> None:
    """Send an event, and wait until it is on its way, for the process may end. Raises `ErrorTrackerNotReady`."""
    if not sentry_sdk.is_initialized():
        raise ErrorTrackerNotReady(
            'JOBS["ERROR_TRACKER"] is "sentry", and sentry_sdk.init was not called. Call it in your settings.'
        )
    with sentry_sdk.isolation_scope() as scope:
        # What this job itself has done is none of the failure's.
        scope.clear()
        sentry_sdk.capture_event(event(failure))
    sentry_sdk.flush(timeout=_FLUSH_SECONDS)


def event(failure: TrackedFailure) -> Any:
    """The event in Sentry's words."""
    told: dict[str, Any] = {
        "event_id": failure["event_id"],
        "timestamp": failure["at"],
        "platform": "python",
        "level": "error" if failure["verdict"] == "bury" else "warning",
        "logger": "jobs",
        "transaction": failure["job"],
        "tags": _tags(failure),
        "extra": {"arguments": failure["arguments"], "traceback": failure["traceback"]},
        "contexts": {"job": {key: failure[key] for key in ("attempt", "attempts", "verdict")}},
        "breadcrumbs": {"values": [_breadcrumb(*line) for line in failure["log"] if is_line(line)]},
    }
    if failure["release"]:
        told["release"] = failure["release"]
    if failure["fingerprint"]:
        told["fingerprint"] = [failure["fingerprint"]]
    if failure["error_class"]:
        return told | {"exception": {"values": [_exception(failure)]}}
    return told | {"message": f"{failure['job']}: {failure['reason'] or failure['outcome']}"}


def ignore_lines() -> None:
    """Let Sentry's logging integration pass by the lines of attempts."""
    for name in ("jobs.attempt", "jobs.attempt.*"):
        ignore_logger(name)


def _tags(failure: TrackedFailure) -> dict[str, str]:
    tags = {key.removesuffix("_id"): str(failure[key]) for key in _TAGS if failure[key]}  # type: ignore[literal-required]
    if failure["trace"]:
        tags["trace"] = failure["trace"]
    # Sentry drops an event whose tags are longer.
    return {key: value[:200] for key, value in tags.items()}


def _exception(failure: TrackedFailure) -> dict[str, Any]:
    module, _, name = failure["error_class"].rpartition(".")
    told: dict[str, Any] = {
        "type": name,
        "module": module or "builtins",
        "value": failure["error_message"],
        "mechanism": {"type": "jobs", "handled": False},
    }
    found = [_frame(frame) for frame in frames.frames(failure["traceback"])]
    return told | ({"stacktrace": {"frames": found}} if found else {})


def _frame(frame: frames.Frame) -> dict[str, Any]:
    told = {"abs_path": frame.file, "filename": frame.file, "lineno": frame.line, "function": frame.function}
    return told | {"context_line": frame.code, "in_app": frame.is_projects}


def _breadcrumb(at: int, level: str, logger: str, text: str) -> dict[str, Any]:
    return {"timestamp": at / 1000, "level": level.lower(), "category": logger, "message": text, "type": "log"}
