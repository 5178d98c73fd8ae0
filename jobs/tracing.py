"""OpenTelemetry's spans: one for each enqueue, one for each attempt, and what joins them. Needs `opentelemetry-api`,
and without an SDK it costs next to nothing.

1. `enqueuing` makes the span of an enqueue; its `traceparent` goes along in the rows and to Redis.
2. `attempting` makes the span of an attempt: a child of it, or linked with it, as `JOBS["TRACING"]` says.
3. `ended` says on it how the attempt ended.

The names are those of the semantic conventions for messaging, 1.27 and later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from jobs import conf

# The W3C's first version, and no other: its fields are what we read.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SYSTEM = "jobsite"
_TEXT_CHARACTERS = 500


def is_on() -> bool:
    """Whether spans are made."""
    return conf.get().TRACING != "off"


def trace_of(traceparent: str) -> str:
    """The id of the trace; empty for what is no traceparent.

    >>> trace_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    '0af7651916cd43dd8448eb211c80319c'
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else ""


def enqueuing(job: str, queue: str, *, correlation: str) -> AbstractContextManager[Any]:
    """The span of an enqueue for the length of a block; `current` is its traceparent there."""
    span: AbstractContextManager[Any] = _tracer().start_as_current_span(
        f"enqueue {queue}",
        kind=_api().SpanKind.PRODUCER,
        attributes=_facts(job, queue, "enqueue", "send", correlation),
        # What is wrong with a call may show its arguments.
        record_exception=False,
        set_status_on_exception=False,
    )
    return span


def enqueued(span: Any, run: str, *, count: int) -> None:
    """Say on the span of an enqueue what came of it: a run, or so many."""
    span.set_attributes({"messaging.message.id": run} if run else {"messaging.batch.message_count": count})


def current() -> str:
    """The traceparent of the span that this code runs in; empty for none."""
    trace = _api()
    told = trace.get_current_span().get_span_context()
    if not told.is_valid:
        return ""
    return f"00-{trace.format_trace_id(told.trace_id)}-{trace.format_span_id(told.span_id)}-{told.trace_flags:02x}"


@contextmanager
def attempting(job: str, queue: str, run: str, *, attempt: int, correlation: str, traceparent: str) -> Iterator[Any]:
    """The span of an attempt for the length of a block."""
    trace = _api()
    came_from = _remote(traceparent)
    is_child = conf.get().TRACING == "child"
    facts = _facts(job, queue, "process", "process", correlation)
    facts |= {"messaging.message.id": run, "jobs.attempt": attempt}
    with _tracer().start_as_current_span(
        f"process {queue}",
        # An attempt has no span around it but one that was sent along.
        context=trace.set_span_in_context(came_from, _empty()) if came_from and is_child else _empty(),
        kind=trace.SpanKind.CONSUMER,
        links=[trace.Link(came_from.get_span_context())] if came_from and not is_child else (),
        attributes=facts,
        # What an error says may be secret: `ended` says it masked.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def ended(span: Any, *, outcome: str, error: Mapping[str, str]) -> None:
    """Say how an attempt ended. `error` is what the journal has of it, masked; empty where nothing went wrong."""
    if not span.is_recording():
        return
    trace = _api()
    span.set_attribute("jobs.outcome", outcome)
    if not error:
        return
    message = error.get("error_message", "")[:_TEXT_CHARACTERS]
    span.set_attribute("error.type", error["error_class"])
    span.set_status(trace.Status(trace.StatusCode.ERROR, message))
    facts = {"exception.type": error["error_class"], "exception.message": message}
    span.add_event("exception", facts | {"exception.stacktrace": error.get("traceback", "")})


def _facts(job: str, queue: str, operation: str, kind: str, correlation: str) -> dict[str, Any]:
    facts = {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
        "jobs.name": job,
    }
    return facts | ({"messaging.message.conversation_id": correlation} if correlation else {})


def _remote(traceparent: str) -> Any:
    trace = _api()
    if not trace_of(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    sampled = trace.TraceFlags(int(flags, 16))
    told = trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled)
    return trace.NonRecordingSpan(told)


@cache
def _api() -> Any:
    # An extra: who has it off may not have it.
    from opentelemetry import trace

    return trace


def _empty() -> Any:
    from opentelemetry.context import Context

    return Context()


@cache
def _tracer() -> Any:
    # A proxy until an SDK is set up, and that SDK's from then on.
    return _api().get_tracer("jobs")
