"""Deaths reach the error tracker: once, whatever they died of, and whatever the tracker does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from jobs import checks, conf, context, fixed
from jobs.models import DeadJob, FailureCause, JobAttempt, JobRun, RunState
from jobs.policy.outcome import Crashed
from jobs.policy.retry import RetryPolicy
from jobs.testing import drain
from jobs.worker import lifecycle
from tests.engine import WORKER, claim, settle, work_off
from tests.engine import make_job as make_job

pytestmark = pytest.mark.django_db(transaction=True)

TRACKER = f"{__name__}.tracker"
told: list[Any] = []
wrong: list[Exception] = []


def tracker(failure: Any) -> None:
    told.append(failure)
    if wrong:
        raise wrong[0]


@pytest.fixture(autouse=True)
def _tracked(jobs_settings):
    told.clear()
    wrong.clear()
    jobs_settings(ERROR_TRACKER=TRACKER, RELEASE="r7")


def refuse(*args: Any, **kwargs: Any) -> None:
    raise ValueError("no street")


def test_a_death_is_told_once_with_all_that_is_known(make_job, caplog):
    caplog.set_level("INFO")

    def charge(order: int, card_token: str) -> None:
        import logging

        logging.getLogger("shop").info("charging %s", card_token)
        raise ValueError(f"refused {card_token}")

    job = make_job(charge, retry=RetryPolicy(attempts=2, backoff=fixed(0), jitter=0))
    with context.correlation("edge-1"):
        run = job.enqueue(7, "tok_4711")
    drain(due=True)
    (failure,) = told
    (log,) = failure.pop("log")
    assert log[1:] == ["INFO", "shop", "charging [redacted]"]
    assert "in charge" in failure.pop("traceback")
    assert len(failure.pop("event_id")) == 32
    assert failure == {
        "run_id": str(run.id),
        "job": job.name,
        "queue": "default",
        "arguments": {"order": 7, "card_token": "[redacted]"},
        "attempt": 2,
        "attempts": 2,
        "outcome": "raised",
        "verdict": "bury",
        "reason": "exhausted",
        "error_class": "ValueError",
        "error_message": "refused [redacted]",
        "at": DeadJob.objects.get().died_at.isoformat(),
        "worker": JobAttempt.objects.last().worker,
        "release": "r7",
        "correlation": "edge-1",
        "trace": "",
        "fingerprint": FailureCause.objects.get().fingerprint,
    }


def test_a_process_that_died_and_a_run_that_expired_are_told_too(make_job):
    make_job(lambda: None, retry=1).enqueue()
    settle(WORKER, [lifecycle.conclude(claim()[0], Crashed(alone=True), worker=WORKER.name, run_ms=0)])
    make_job(lambda: None).using(expires=datetime(2020, 1, 1, tzinfo=UTC)).enqueue()
    drain()
    assert sorted((one["outcome"], one["reason"]) for one in told) == [
        ("crashed", "killed_worker"),
        ("expired", "expired"),
    ]


def test_each_failure_is_told_where_that_is_wanted(make_job, jobs_settings):
    jobs_settings(ERROR_TRACKER_HEARS="failures")
    make_job(refuse, retry=RetryPolicy(attempts=3, backoff=fixed(0), jitter=0)).enqueue()
    drain(due=True)
    assert [(one["attempt"], one["verdict"]) for one in told] == [(1, "retry"), (2, "retry"), (3, "bury")]
    assert len({one["event_id"] for one in told}) == 3


def test_a_callback_that_dies_is_told_too(make_job):
    callback = make_job(refuse, retry=1)
    with context.correlation("edge-1"):
        make_job(refuse, retry=1, on_death=callback).enqueue()
    drain()
    assert [one["correlation"] for one in told] == ["edge-1", "callback of edge-1"]


def test_a_tracker_that_is_away_is_told_again_with_the_same_id(make_job):
    wrong.append(OSError("no route"))
    make_job(refuse, retry=1).enqueue()
    drain()
    row = JobRun.objects.get(name="jobs.tell_error_tracker")
    assert row.state == RunState.RETRYING
    wrong.clear()
    drain(due=True)
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_tracker_that_stays_broken_stops_nothing_and_is_not_told_of_itself(make_job):
    wrong.append(OSError("no route"))
    make_job(refuse, retry=1).enqueue()
    assert drain(due=True, max_runs=40).counts == {"bury": 2, "retry": 11}
    assert {one["job"] for one in told} == {"tests.made_0"}
    assert DeadJob.objects.count() == 2


def test_where_none_is_named_nothing_is_enqueued(make_job, jobs_settings):
    jobs_settings(ERROR_TRACKER="")
    make_job(refuse, retry=1).enqueue()
    assert drain().counts == {"bury": 1}


def test_what_was_removed_meanwhile_is_told_without_it(make_job):
    make_job(refuse, retry=1).enqueue()
    work_off()
    told.clear()
    failed = JobRun.objects.get(name="jobs.tell_error_tracker").payload[0][0]
    JobAttempt.objects.all().delete()
    from jobs import error_tracker

    JobRun.objects.exclude(name="jobs.tell_error_tracker").delete()
    error_tracker.tell(failed)
    assert (told[0]["error_message"], told[0]["traceback"], told[0]["fingerprint"]) == ("no street", "", "")


@pytest.mark.parametrize("name", ["no.such.function", "jobs.conf.STATES", ".x"])
def test_a_tracker_that_cannot_be_called_is_an_error_of_the_checks(jobs_settings, name):
    jobs_settings(ERROR_TRACKER=name)
    assert [one.id for one in checks._telemetry()] == ["jobs.E015"]
    jobs_settings(ERROR_TRACKER="sentry")
    assert list(checks._telemetry()) == []
    assert conf.get().ERROR_TRACKER_HEARS == "deaths"
