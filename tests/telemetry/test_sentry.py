"""What reaches Sentry, by its own SDK and over HTTP."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk
from hypothesis import given, settings
from hypothesis import strategies as st
from sentry_sdk.integrations.logging import LoggingIntegration

from jobs import context, error_tracker, sentry
from jobs.models import DeadJob, FailureCause
from jobs.policy.frames import frames
from jobs.testing import drain
from tests.engine import make_job as make_job

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver(BaseHTTPRequestHandler):
    """Takes envelopes, as Sentry's relay does."""

    events: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        lines = [json.loads(line) for line in body.splitlines() if line]
        pairs = zip(lines[1::2], lines[2::2], strict=True)
        self.events += [item for head, item in pairs if head["type"] == "event"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def received(jobs_settings: Any) -> Iterator[list[dict[str, Any]]]:
    """The events that a local Sentry got."""
    Receiver.events = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    jobs_settings(ERROR_TRACKER="sentry", RELEASE="r7")
    scope = sentry_sdk.get_global_scope()
    before = scope.client
    sentry_sdk.init(
        dsn=f"http://public@127.0.0.1:{server.server_port}/1",
        integrations=[LoggingIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
        keep_alive=False,
    )
    error_tracker.prepare()
    try:
        yield Receiver.events
    finally:
        sentry_sdk.get_client().close(timeout=2)
        scope.set_client(before)
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_death_is_one_event_with_frames_tags_and_our_fingerprint(make_job, received, caplog):
    caplog.set_level(logging.INFO)

    def charge(order: int, card_token: str) -> None:
        logging.getLogger("shop").info("charging")
        raise ValueError(f"refused {card_token}")

    job = make_job(charge, retry=1)
    with context.correlation("edge-1"):
        run = job.enqueue(7, "tok_4711")
    drain()
    (event,) = received
    assert "tok_4711" not in json.dumps(event)
    assert event["fingerprint"] == [FailureCause.objects.get().fingerprint]
    assert (event["level"], event["release"], event["transaction"]) == ("error", "r7", job.name)
    assert event["tags"] == {
        "job": job.name,
        "queue": "default",
        "run": str(run.id),
        "attempt": "1",
        "outcome": "raised",
        "reason": "exhausted",
        "correlation": "edge-1",
        "worker": event["tags"]["worker"],
    }
    (error,) = event["exception"]["values"]
    assert (error["type"], error["module"], error["value"]) == ("ValueError", "builtins", "refused [redacted]")
    last = error["stacktrace"]["frames"][-1]
    assert (last["function"], last["in_app"]) == ("charge", True)
    assert last["context_line"] == 'raise ValueError(f"refused {card_token}")'
    assert event["extra"]["arguments"] == {"order": 7, "card_token": "[redacted]"}
    assert [one["message"] for one in event["breadcrumbs"]["values"]] == ["charging"]


def test_a_run_that_raised_nothing_is_told_in_words(make_job, received):
    from datetime import UTC, datetime

    job = make_job(lambda: None).using(expires=datetime(2020, 1, 1, tzinfo=UTC))
    job.enqueue()
    drain()
    (event,) = received
    assert event["tags"]["reason"] == "expired"
    assert "message" in event or "exception" in event


def test_where_sentry_was_never_set_up_the_death_says_so(make_job, jobs_settings):
    jobs_settings(ERROR_TRACKER="sentry")

    def refuse() -> None:
        raise ValueError("no street")

    make_job(refuse, retry=1).enqueue()
    drain(max_runs=5)
    dead_job = DeadJob.objects.get(name="jobs.tell_error_tracker")
    assert dead_job.error_message.endswith("Call it in your settings.")


def test_a_sentry_that_does_not_answer_costs_nothing_but_the_event(make_job, jobs_settings, received):
    sentry_sdk.get_client().transport._auth.host = "127.0.0.1:9"

    def refuse() -> None:
        raise ValueError("no street")

    make_job(refuse, retry=1).enqueue()
    assert drain().counts == {"bury": 1, "done": 1}
    assert received == []


CHAINED = """Traceback (most recent call last):
  File "/srv/shop/first.py", line 1, in first
    one()
KeyError: 1

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/.venv/lib/python3.11/site-packages/lib.py", line 7, in wrap
    return call()
           ^^^^^^
  File "/srv/shop/pay.py", line 12, in Pay.now
    refuse()
shop.Refused: no
"""


def test_of_errors_that_follow_one_another_the_last_is_told_frame_by_frame():
    assert [(frame.function, frame.line, frame.is_projects) for frame in frames(CHAINED)] == [
        ("wrap", 7, False),
        ("Pay.now", 12, True),
    ]
    assert frames(CHAINED)[1].code == "refuse()"
    assert frames("") == frames("no traceback") == []


@given(st.text(max_size=200) | st.lists(st.sampled_from(CHAINED.splitlines())).map("\n".join))
@settings(max_examples=60)
def test_any_text_has_frames_or_none(text):
    assert all(frame.line >= 0 for frame in frames(text))


def test_tags_are_never_too_long_for_sentry():
    failure: Any = dict.fromkeys(sentry._TAGS, "x" * 300) | {"trace": "t"}
    assert {len(value) for value in sentry._tags(failure).values()} == {200, 1}
