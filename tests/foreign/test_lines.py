"""What is logged of plain RQ's jobs, and within them."""

from __future__ import annotations

import logging

import pytest
from rq import Queue

from jobs.models import JobAttempt
from tests.engine import work_off
from tests.foreign import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("allowed")]


def test_an_attempt_has_its_two_lines_with_rqs_own_id(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rq_job = queue.enqueue(tasks.add, 1, right=2)
    work_off()
    told = [vars(record) for record in caplog.records if record.name == "jobs.attempt"]
    assert [(one["event"], one["verdict"]) for one in told] == [("attempt started", None), ("attempt ended", "done")]
    assert {(one["run"], one["correlation"], one["job"]) for one in told} == {
        (rq_job.id, rq_job.id, "tests.foreign.tasks.add")
    }


def test_what_it_logs_is_kept_with_its_failure(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    queue.enqueue(tasks.log_and_fail)
    work_off()
    assert [line[1:] for line in JobAttempt.objects.get().log] == [["INFO", "shop.legacy", "looking"]]
