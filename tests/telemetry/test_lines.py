"""One line when an attempt starts, one when it has ended, with the same keys always."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from jobs import Bury, HandBackJob, PutOffJob, RetryPolicy, context, fixed, logs
from jobs.policy.outcome import Crashed
from jobs.worker import lifecycle
from tests.engine import WORKER, claim, work_off
from tests.engine import make_job as make_job

pytestmark = pytest.mark.django_db(transaction=True)


def refuse(*args: Any, **kwargs: Any) -> None:
    raise ValueError("no street")


@pytest.fixture
def lines(caplog):
    """What was said of attempts, by the records' facts."""
    caplog.set_level(logging.INFO)

    def told() -> list[dict[str, Any]]:
        found = [record for record in caplog.records if record.name.startswith("jobs.attempt.")]
        return [{key: vars(one)[key] for key in logs.FACTS} | {"level": one.levelname} for one in found]

    return told


def test_an_attempt_has_two_lines_with_the_same_keys(make_job, lines, jobs_settings):
    jobs_settings(RELEASE="r7")
    job = make_job(lambda: None, retry=4)
    with context.correlation("edge-1"):
        run = job.enqueue()
    work_off()
    started, ended = lines()
    same = {
        "job": job.name,
        "run": str(run.id),
        "queue": "default",
        "attempt": 1,
        "of": 4,
        "worker": WORKER.name,
        "release": "r7",
        "correlation": "edge-1",
        "parent": None,
        "trace": None,
        "next_s": None,
        "reason": None,
        "error_class": None,
        "error_message": None,
        "level": "INFO",
    }
    assert started.keys() == ended.keys()
    assert started.pop("wait_ms") == ended.pop("wait_ms") >= 0
    assert 0 <= ended.pop("run_ms") < 5000
    assert started == {**same, "event": "attempt started", "run_ms": None, "outcome": None, "verdict": None}
    assert ended == {**same, "event": "attempt ended", "outcome": "returned", "verdict": "done"} | {}


@pytest.mark.parametrize(
    ("error", "retry", "told"),
    [
        (ValueError("no"), RetryPolicy(attempts=3, backoff=fixed(15), jitter=0), ("INFO", "raised", "retry", 15, None)),
        (ValueError("no"), RetryPolicy(rules={ValueError: Bury}), ("ERROR", "raised", "bury", None, "permanent")),
        (PutOffJob(30, "closed"), RetryPolicy(), ("INFO", "postponed", "put off", 30, "closed")),
        (HandBackJob(), RetryPolicy(), ("INFO", "interrupted", "put off", 1, None)),
    ],
    ids=["retried", "dead", "put off", "handed back"],
)
def test_the_end_says_what_follows(make_job, lines, error, retry, told):
    def end():
        raise error

    make_job(end, retry=retry).enqueue()
    work_off()
    ended = lines()[1]
    next_s = ended["next_s"]
    found = (
        ended["level"],
        ended["outcome"],
        ended["verdict"],
        next_s and int(next_s / 15 or 1) and next_s,
        ended["reason"],
    )
    level, outcome, verdict, least, reason = told
    assert (found[0], found[1], found[2], found[4]) == (level, outcome, verdict, reason)
    assert next_s is None if least is None else least <= next_s <= 2 * least


def test_a_death_is_told_with_its_error_and_nothing_secret(make_job, lines, caplog):
    def charge(card_token: str) -> None:
        raise ValueError(f"refused {card_token}")

    make_job(charge, retry=1).enqueue("tok_4711")
    work_off()
    ended = lines()[1]
    assert (ended["error_class"], ended["error_message"]) == ("ValueError", "refused [redacted]")
    assert "dead (exhausted), refused [redacted]" in caplog.text
    assert "tok_4711" not in caplog.text


def test_a_process_that_died_has_its_line_from_who_buries(make_job, lines):
    make_job(lambda: None).enqueue()
    lifecycle.conclude(claim()[0], Crashed(alone=True), worker="host.1", run_ms=0)
    (ended,) = lines()
    assert (ended["event"], ended["outcome"], ended["verdict"]) == ("attempt ended", "crashed", "retry")


def test_a_child_says_who_asked_for_it(make_job, lines):
    child = make_job(lambda: None)
    run = make_job(lambda: child.enqueue() and None).enqueue()
    work_off()
    assert {(one["parent"], one["correlation"]) for one in lines()} == {(None, str(run.id)), (str(run.id), str(run.id))}


def test_no_line_is_made_where_nobody_listens(make_job, caplog, monkeypatch):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(logs, "facts", lambda **known: pytest.fail("a line was made"))
    make_job(lambda: None).enqueue()
    work_off()


def test_a_log_that_fails_keeps_no_run_from_its_end(make_job, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    job = make_job(refuse, retry=1)

    def fail(record):
        raise RuntimeError("disk full")

    monkeypatch.setattr(logs.logger_of(job.name), "filters", [fail])
    job.enqueue()
    assert [one.where for one in work_off()] == ["failed"]


def test_a_name_of_nobodys_makes_no_logger(lines, caplog):
    from jobs.broker.claim import Claim

    held = Claim("1", "default", "t", {"data": '["evil.name.%s", null, [], {}]', "life": "0"})
    lifecycle.conclude(held, lifecycle.Abandoned(), worker="host.1", run_ms=0)
    assert "jobs.attempt.evil.name.%s" not in logging.root.manager.loggerDict
    assert caplog.records[-1].name == "jobs.attempt"
