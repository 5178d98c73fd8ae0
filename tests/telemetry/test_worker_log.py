"""What a real worker writes and keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs import context, logs
from jobs.models import JobAttempt, JobRun
from tests.sample import jobs as sample
from tests.scenarios.conftest import workers as workers
from tests.scenarios.workers import Workers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def lines(worker: Workers) -> list[dict[str, Any]]:
    # The command's first line says its name, before anything is logged.
    return [json.loads(line) for line in worker.log().splitlines()[1:]]


def test_every_line_of_a_worker_is_json_and_each_attempt_has_two(workers: Workers) -> None:
    with context.correlation("edge-1"):
        run = sample.fail.enqueue(7)
    sample.add.enqueue(1, 2)
    workers.start("--burst", LOG_FORMAT="json", RELEASE="r7").wait(timeout=60)
    told = lines(workers)
    assert all({"time", "level", "logger", "message", "run", "correlation"} <= one.keys() for one in told)
    ours = [one for one in told if one["run"] == str(run.id) and "event" in one]
    assert all(one.keys() >= set(logs.FACTS) for one in ours)
    assert [(one["event"], one["attempt"], one["verdict"]) for one in ours[:2]] == [
        ("attempt started", 1, None),
        ("attempt ended", 1, "retry"),
    ]
    assert {(one["correlation"], one["release"]) for one in ours} == {("edge-1", "r7")}


def test_what_a_job_logs_in_a_worker_is_kept_with_its_failure(workers: Workers) -> None:
    sample.log_and_fail.enqueue("hunter2")
    workers.burst()
    (log,) = JobAttempt.objects.values_list("log", flat=True)
    assert [line[1:] for line in log] == [["INFO", "tests.sample.jobs", "logging in with [redacted]"]]
    assert JobRun.objects.get().state == "dead"
