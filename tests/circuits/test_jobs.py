"""Jobs that go through a circuit: while it is open they wait, and burn no attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs import Bury, RetryPolicy, circuits, fixed, job, recorder
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.schedule import tick
from jobs.circuits import Circuit
from jobs.errors import BadOptions
from jobs.models import JobAttempt
from tests.circuits.test_passing import pass_time
from tests.engine import attempt_next, work_off

pytestmark = pytest.mark.django_db(transaction=True)


class NoSuchAddress(Exception):
    pass


class Partner:
    """What the jobs call: `error` is what it raises, None when it is well."""

    def __init__(self) -> None:
        self.error: BaseException | None = ConnectionError("down")
        self.calls: list[int] = []

    def call(self, number: int) -> None:
        self.calls.append(number)
        if self.error is not None:
            raise self.error


@pytest.fixture
def partner() -> Partner:
    return Partner()


@pytest.fixture
def payments(make_circuit: Callable[..., Circuit]) -> Circuit:
    return make_circuit(failures=3, open_for=30)


@pytest.fixture
def pay(make_job: Callable[..., Any], payments: Circuit, partner: Partner) -> Any:
    policy = RetryPolicy(attempts=2, backoff=fixed(0), jitter=0, rules={NoSuchAddress: Bury})
    return make_job(partner.call, circuit=payments, retry=policy)


def again() -> None:
    """Make everything due now."""
    for run_id in client().zrange(keys.scheduled("default"), 0, -1):
        client().zadd(keys.scheduled("default"), {run_id: 0})
    tick([], ["default"])


def test_while_it_is_open_its_jobs_wait_unburnt_and_succeed_once_the_partner_is_well(pay, payments, partner):
    runs = [pay.enqueue(number) for number in range(10)]
    for _ in range(5):
        work_off()
        again()
    # Each was called once or not at all: what failed before it opened has one attempt left.
    assert len(partner.calls) == 3
    assert {run.state for run in runs} <= {"scheduled", "retrying"}
    assert sum(run.row().attempts for run in runs) == 3
    partner.error = None
    pass_time(payments, 30)
    again()
    work_off()
    assert {run.state for run in runs} == {"succeeded"}
    assert max(run.row().attempts for run in runs) == 2


def test_a_run_that_waits_says_why_and_is_told_of_once(pay, payments, partner):
    circuits.force_open(payments.name, actor="ann")
    run = pay.enqueue(1)
    told = [attempt_next().entry is not None]
    for _ in range(3):
        again()
        told.append(attempt_next().entry is not None)
    assert told == [True, False, False, False]
    recorder.record_all()
    assert (run.state, run.row().error_message) == ("scheduled", f"circuit {payments.name} is open")
    assert JobAttempt.objects.filter(run=run.id).count() == 1
    assert partner.calls == []


def test_runs_wait_until_it_may_be_tried(pay, payments):
    for number in range(3):
        pay.enqueue(number)
        attempt_next()
    pay.enqueue(4)
    assert 25 < attempt_next().wait_seconds <= 45


def test_an_error_that_a_rule_decides_says_nothing_of_the_partner(pay, payments, partner):
    partner.error = NoSuchAddress()
    for number in range(10):
        pay.enqueue(number)
    work_off()
    assert circuits.status(payments.name).failures == 0


def test_a_time_limit_that_strikes_counts(make_job, payments, jobs_drain):
    import time

    def hang() -> None:
        for _ in range(1000):
            time.sleep(0.005)

    hanging = make_job(hang, circuit=payments.name, timeout=0.02, retry=1)
    hanging.enqueue_many([()] * 3)
    jobs_drain()
    assert circuits.status(payments.name).phase == "open"


def test_a_block_inside_a_job_puts_its_run_off(make_job, payments):
    def pay() -> None:
        with payments:
            pytest.fail("it was entered")

    circuits.force_open(payments.name, actor="ann")
    run = make_job(pay, retry=1).enqueue()
    assert attempt_next().entry["outcome"] == "postponed"
    recorder.record_all()
    assert (run.state, run.row().attempts) == ("scheduled", 0)


def test_the_circuit_of_a_job_may_be_named_before_it_is_defined(make_job, make_circuit, partner):
    sending = make_job(partner.call, circuit="a parcel service", retry=RetryPolicy(attempts=9, backoff=fixed(0)))
    make_circuit("a parcel service", failures=1)
    sending.enqueue(1)
    sending.enqueue(2)
    work_off()
    assert len(partner.calls) == 1


@pytest.mark.parametrize("given", [5, "", object(), "a\nb"], ids=["number", "empty", "object", "two lines"])
def test_a_circuit_that_cannot_be_is_refused_where_the_job_is_defined(given):
    with pytest.raises(BadOptions, match="circuit="):
        job(name="tests.never", circuit=given)(lambda: None)
