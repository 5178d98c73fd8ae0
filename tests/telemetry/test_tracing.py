"""Spans of enqueues and attempts, by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from jobs import DiscardJob, conf, context, current_run, dead, enqueueing, tracing
from jobs.models import DeadJob, JobRun
from jobs.worker import spans
from tests.engine import hash_of, work_off
from tests.engine import make_job as make_job

pytestmark = pytest.mark.django_db(transaction=True)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, jobs_settings: Callable[..., Any]) -> InMemorySpanExporter:
    """What reached the exporter. The provider is this test's: OpenTelemetry lets a process set its own once only."""
    jobs_settings(TRACING="child")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("jobs"))
    return exporter


def named(sent: InMemorySpanExporter, start: str) -> list[ReadableSpan]:
    return [one for one in sent.get_finished_spans() if one.name.startswith(start)]


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_an_attempt_is_a_child_of_its_enqueue(make_job, sent):
    job = make_job(lambda: None)
    with context.correlation("edge-1"):
        run = job.enqueue()
    work_off()
    asked, attempt = named(sent, "enqueue default")[0], named(sent, "process default")[0]
    assert (asked.kind, attempt.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert parent_of(attempt) == asked.context.span_id
    assert attempt.context.trace_id == asked.context.trace_id
    assert dict(asked.attributes) == {
        "messaging.system": "jobsite",
        "messaging.operation.name": "enqueue",
        "messaging.operation.type": "send",
        "messaging.destination.name": "default",
        "messaging.message.conversation_id": "edge-1",
        "messaging.message.id": str(run.id),
        "jobs.name": job.name,
    }
    assert dict(attempt.attributes) == {
        "messaging.system": "jobsite",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.conversation_id": "edge-1",
        "messaging.message.id": str(run.id),
        "jobs.name": job.name,
        "jobs.attempt": 1,
        "jobs.outcome": "returned",
    }


def test_or_linked_with_it_in_a_trace_of_its_own(make_job, sent, jobs_settings):
    jobs_settings(TRACING="link")
    make_job(lambda: None).enqueue()
    work_off()
    asked, attempt = named(sent, "enqueue")[0], named(sent, "process")[0]
    assert attempt.parent is None
    assert attempt.context.trace_id != asked.context.trace_id
    assert [link.context.span_id for link in attempt.links] == [asked.context.span_id]


def test_a_trace_goes_from_a_request_through_a_job_to_its_child(make_job, sent):
    child = make_job(lambda: None)
    parent = make_job(lambda: child.enqueue() and None)
    with tracing._tracer().start_as_current_span("GET /"):
        parent.enqueue()
    work_off()
    assert len({one.context.trace_id for one in sent.get_finished_spans()}) == 1
    by_id = {one.context.span_id: one for one in sent.get_finished_spans()}
    last = named(sent, "process")[1]
    names = [last.name]
    while last.parent:
        last = by_id[last.parent.span_id]
        names.append(last.name)
    assert names == ["process default", "enqueue default", "process default", "enqueue default", "GET /"]


@pytest.mark.parametrize("durable", [True, False])
def test_each_attempt_of_a_run_belongs_to_its_trace(make_job, sent, durable):
    run = make_job(lambda: 1 / 0, retry=1, durable=durable).enqueue()
    traceparent = hash_of(run.id)["traceparent"]
    work_off()
    assert run.row().options == {"traceparent": traceparent}
    dead.requeue(DeadJob.objects.get(), actor="ann")
    assert hash_of(run.id)["traceparent"] == traceparent
    work_off()
    (asked,), attempts = named(sent, "enqueue"), named(sent, "process")
    assert [parent_of(one) for one in attempts] == [asked.context.span_id] * 2


def test_many_are_one_span(make_job, sent):
    make_job(lambda number: None).enqueue_many([(1,), (2,), (3,)])
    (asked,) = named(sent, "enqueue")
    assert asked.attributes["messaging.batch.message_count"] == 3


def test_an_error_is_told_without_what_is_secret(make_job, sent):
    def charge(card_token: str) -> None:
        raise ValueError(f"refused {card_token}")

    make_job(charge, retry=1).enqueue("tok_4711")
    work_off()
    (attempt,) = named(sent, "process")
    assert (attempt.status.status_code, attempt.status.description) == (StatusCode.ERROR, "refused [redacted]")
    assert attempt.attributes["error.type"] == "ValueError"
    (event,) = attempt.events
    assert event.attributes["exception.message"] == "refused [redacted]"
    assert "in charge" in event.attributes["exception.stacktrace"]
    assert "tok_4711" not in attempt.to_json()


def test_what_a_job_raises_on_purpose_is_no_error(make_job, sent):
    def give_up() -> None:
        raise DiscardJob

    make_job(give_up).enqueue()
    work_off()
    (attempt,) = named(sent, "process")
    assert (attempt.status.status_code, attempt.events) == (StatusCode.UNSET, ())


def test_a_job_and_its_lines_know_the_trace(make_job, sent, caplog):
    caplog.set_level("INFO")
    seen = []
    make_job(lambda: seen.append(current_run().trace)).enqueue()
    work_off()
    wanted = f"{named(sent, 'process')[0].context.trace_id:032x}"
    assert seen == [wanted]
    assert {one.trace for one in caplog.records if one.name.startswith("jobs.attempt")} == {wanted}


def test_where_no_sdk_is_set_up_nothing_is_carried(make_job, jobs_settings):
    jobs_settings(TRACING="child")
    run = make_job(lambda: None).enqueue()
    assert run.row().options == {}
    assert "traceparent" not in hash_of(run.id)
    assert work_off()[0].where == "end"


def test_what_a_request_brought_is_carried_on_where_no_sdk_is_set_up(make_job, jobs_settings):
    jobs_settings(TRACING="child")
    with trace.use_span(tracing._remote(TRACEPARENT)):
        run = make_job(lambda: None).enqueue()
    assert run.row().options == {"traceparent": TRACEPARENT}


def test_while_it_is_off_nothing_is_asked(make_job, monkeypatch):
    monkeypatch.setattr(tracing, "_api", lambda: pytest.fail("OpenTelemetry was imported"))
    run = make_job(lambda: None).enqueue()
    assert (conf.get().TRACING, run.row().options) == ("off", {})
    assert work_off()[0].where == "end"


def test_what_fails_in_tracing_keeps_no_run_from_its_attempt(make_job, sent, monkeypatch, caplog):
    make_job(lambda: None).enqueue()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no collector")

    monkeypatch.setattr(tracing, "attempting", fail)
    monkeypatch.setattr(tracing, "ended", fail)
    assert work_off()[0].where == "end"
    assert "could not be traced: RuntimeError" in caplog.text


@pytest.mark.parametrize(
    "told",
    ["", "x", TRACEPARENT[:-1], "ff" + TRACEPARENT[2:], TRACEPARENT.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01"],
)
def test_what_is_no_traceparent_is_none(told):
    assert tracing.trace_of(told) == ""
    assert tracing._remote(told) is None


def test_a_row_is_pushed_again_with_its_trace(make_job, sent):
    row = make_job(lambda: None).enqueue().row()
    assert enqueueing.message_of(JobRun.objects.get()).traceparent == row.options["traceparent"]


def test_the_extra_is_asked_for_where_it_is_missing(jobs_settings, monkeypatch):
    from jobs import checks

    jobs_settings(TRACING="link")
    assert list(checks._telemetry()) == []
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert [one.id for one in checks._telemetry()] == ["jobs.E014"]


def test_a_claim_without_a_trace_has_none():
    from jobs.broker.claim import Claim

    assert spans.trace_of(Claim("1", "default", "t", {})) == ""
