"""Attempt, judge, conclude: every ending is a settlement, and none shows a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sys
import time
import uuid
from dataclasses import dataclass, replace

import pytest

from jobs import (
    Bury,
    Discard,
    DiscardJob,
    HandBackJob,
    JobTimedOut,
    RetryLater,
    RetryPolicy,
    current_run,
    fixed,
    registry,
)
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.keys import job as job_key
from jobs.broker.schedule import tick
from jobs.broker.stops import StopOrder
from jobs.errors import JobStopped, NoCurrentRun
from jobs.models import JobRun
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS
from jobs.policy.outcome import Abandoned, Crashed, Interrupted, Returned
from jobs.signals import job_started
from jobs.worker import entries, lifecycle, orders, stopping
from tests.engine import WORKER, claim, work_off

SECRET = "tok_live_hunter2"


def a_claim(name, *args, durable=True, attempt=1, **fields):
    """A claim as the claim script gives it."""
    plain = {
        "data": json.dumps([name, None, list(args), {}]),
        "created_at": "2026-11-22T03:00:00.000000Z",
        "enqueued_at": "2026-11-22T03:00:00.000000Z",
        "life": "0",
        "attempts": str(attempt),
        "durable": "1" if durable else "",
        "claimed_ms": "1795313931000",
        "ready_ms": "1795313930000",
        **{key: str(value) for key, value in fields.items()},
    }
    return Claim("0190a0a0-0000-7000-8000-000000000001", "default", "t0", plain)


def attempt(job, *args, **facts):
    return lifecycle.attempt(a_claim(job.name, *args, **facts), worker="tester")


def raiser(error):
    def function(*args):
        raise error

    return function


def test_a_job_that_returns_is_done(make_job):
    ended = attempt(make_job(lambda left, right: left + right), 2, 3)
    assert ended.where == "end"
    assert ended.entry["verdict"] == "done"
    assert ended.entry["result"] == 5
    assert ended.entry["wait_ms"] == 1000


def test_listeners_hear_of_a_start_before_the_function_runs_and_cannot_harm_it(make_job):
    heard = []

    def listen(sender, **facts):
        heard.append((sender, facts["run_id"], facts["attempt"], facts["queue"], facts["worker"]))
        raise RuntimeError("no")

    job = make_job(lambda: heard.append("ran"))
    job_started.connect(listen)
    try:
        ended = attempt(job, attempt=2)
    finally:
        job_started.disconnect(listen)
    run_id = uuid.UUID("0190a0a0-0000-7000-8000-000000000001")
    assert heard == [(job.name, run_id, 2, "default", "tester"), "ran"]
    assert ended.entry["verdict"] == "done"


class Declined(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "where", "verdict", "reason"),
    [
        (OSError("down"), "later", "retry", None),
        (Declined("no funds"), "failed", "bury", "permanent"),
        (KeyError("gone"), "end", "discard", None),
        (DiscardJob("nothing to do"), "end", "discard", None),
        (RetryLater(5), "later", "retry", None),
        (SystemExit(3), "later", "retry", None),
        (KeyboardInterrupt(), "later", "retry", None),
        (GeneratorExit(), "later", "retry", None),
        (asyncio.CancelledError(), "later", "retry", None),
        (JobTimedOut(), "later", "retry", None),
        (ExceptionGroup("many", [OSError("a"), ValueError("b")]), "later", "retry", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_way_to_raise_has_its_ending(make_job, error, where, verdict, reason):
    job = make_job(raiser(error), retry=RetryPolicy(rules={Declined: Bury, KeyError: Discard}))
    ended = attempt(job)
    assert (ended.where, ended.entry["verdict"], ended.entry.get("reason")) == (where, verdict, reason)


def test_the_last_attempt_buries(make_job):
    ended = attempt(make_job(raiser(OSError("down")), retry=3), attempt=3)
    assert (ended.where, ended.entry["reason"]) == ("failed", "exhausted")


def test_a_run_keeps_the_number_of_attempts_it_was_given(make_job):
    job = make_job(raiser(OSError("down")), retry=3)
    assert attempt(job, attempt=3, own_attempts=9).where == "later"
    assert attempt(job, attempt=2, own_attempts=2).where == "failed"


def test_sys_exit_ends_the_job_and_not_the_worker(make_job):
    ended = attempt(make_job(lambda: sys.exit("bye")))
    assert ended.entry["error_class"] == "SystemExit"
    assert ended.entry["error_message"] == "bye"


@pytest.mark.parametrize("result", ["x" * 20_000, object(), {1, 2}, math.nan, 10**5000, {"when": b""}], ids=type)
def test_a_result_that_cannot_be_kept_still_counts_as_success(make_job, result, caplog):
    ended = attempt(make_job(lambda: result))
    assert (ended.where, ended.entry["verdict"], ended.entry["result"]) == ("end", "done", None)
    assert "counts as done" in caplog.text


@pytest.mark.parametrize("result", [None, 0, "ok", {"count": [1, 2]}])
def test_a_small_result_is_kept(make_job, result, caplog):
    assert attempt(make_job(lambda: result)).entry["result"] == result
    assert "counts as done" not in caplog.text


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Undecided(Exception):
    @property
    def retry_after(self):
        raise RuntimeError("no idea")


class UndecidedForGood(Exception):
    @property
    def retry_after(self):
        raise SystemExit


@dataclass(frozen=True)
class Frozen(Exception):
    code: int = 3


class Quitting(Exception):
    def __str__(self):
        raise SystemExit


class Interrupting(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class Noted(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no notes")


class Garbled(SyntaxError):
    """What a parser of bytes may raise: Python's own functions cannot print it."""

    def __init__(self):
        super().__init__("bad", ("shop.xml", b"3", 1, b"<a>"))


class Masked(Exception):
    @property
    def __class__(self):
        raise RuntimeError("nobody")


MISBEHAVING = [Speechless, Undecided, UndecidedForGood, Frozen, Quitting, Interrupting, Noted, Garbled, Masked]


@pytest.mark.parametrize("retry", [1, 5])
@pytest.mark.parametrize("error_class", MISBEHAVING)
def test_an_exception_that_misbehaves_is_an_ending_like_any_other(make_job, error_class, retry):
    ended = attempt(make_job(raiser(error_class()), retry=retry))
    assert ended.where == ("failed" if retry == 1 else "later")
    assert ended.entry["error_class"] == f"{__name__}.{error_class.__name__}"


@pytest.mark.parametrize("error_class", MISBEHAVING)
def test_the_traceback_of_an_exception_that_misbehaves_still_leads_to_its_line(make_job, error_class):
    assert "in function" in attempt(make_job(raiser(error_class()))).entry["traceback"]


class Hostile(type):
    """Not even the exception's name can be had."""

    def __getattribute__(cls, name):
        if name in ("__module__", "__qualname__"):
            raise SystemExit
        return super().__getattribute__(name)


class Nameless(Exception, metaclass=Hostile):
    pass


@pytest.mark.parametrize("durable", [True, False])
def test_an_error_that_cannot_be_told_at_all_is_an_ending_by_the_jobs_rules(make_job, durable, caplog):
    job = make_job(raiser(Nameless()), retry=RetryPolicy(rules={Nameless: Bury}), durable=durable)
    ended = attempt(job, durable=durable)
    assert (ended.where, ended.entry["reason"], ended.entry["outcome"]) == ("failed", "permanent", "raised")
    assert "raised SystemExit" in ended.entry["error_message"]
    assert "cannot be told" in caplog.text
    assert ("row" in ended.entry) is not durable
    json.dumps(ended.entry)


class Telling(type):
    def __getattribute__(cls, name):
        if name == "__qualname__":
            raise ValueError(SECRET)
        return super().__getattribute__(name)


class Untold(Exception, metaclass=Telling):
    pass


def test_why_an_error_cannot_be_told_shows_no_secret(make_job, caplog):
    ended = attempt(make_job(raiser(Untold())))
    assert "raised ValueError" in ended.entry["error_message"]
    assert SECRET not in json.dumps(ended.entry) + caplog.text


class Bottomless(list):
    def __iter__(self):
        raise SystemExit


def test_a_result_that_misbehaves_still_counts_as_success(make_job):
    ended = attempt(make_job(lambda: Bottomless([1])))
    assert (ended.where, ended.entry["verdict"], ended.entry.get("result")) == ("end", "done", None)


class Fussy(RetryPolicy):
    def with_attempts(self, attempts):
        raise SystemExit


@pytest.mark.parametrize(("number", "where"), [(1, "later"), (25, "failed")])
@pytest.mark.parametrize("durable", [True, False])
def test_a_policy_that_misbehaves_leaves_the_default_one(make_job, number, where, durable, caplog):
    job = make_job(lambda: 1, retry=Fussy(), durable=durable)
    ended = attempt(job, attempt=number, own_attempts=3, durable=durable)
    assert (ended.where, ended.entry["error_class"]) == (where, "SystemExit")
    assert ended.fields == ({} if durable else {"durable": 1})
    assert "the default policy decides" in caplog.text


def test_a_log_that_raises_does_not_keep_a_run_from_its_end(make_job, monkeypatch):
    monkeypatch.setattr(lifecycle.logger, "filters", [raiser(RuntimeError("full"))])
    for error in (OSError("down"), Nameless()):
        assert attempt(make_job(raiser(error), retry=1)).where == "failed"


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -5, 10**400, None, "soon"], ids=lambda it: str(it)[:5])
def test_a_backoff_that_misbehaves_is_an_ending_like_any_other(make_job, seconds):
    job = make_job(raiser(OSError("down")), retry=RetryPolicy(backoff=lambda attempts: seconds))
    ended = attempt(job)
    assert ended.where == "later"
    assert 0 <= ended.wait_seconds <= 366 * 86_400


@pytest.mark.parametrize(
    "error", [ValueError("none"), SystemExit(2), Garbled()], ids=lambda error: type(error).__name__
)
def test_a_backoff_that_raises_leaves_the_default_one(make_job, error):
    ended = attempt(make_job(raiser(OSError("down")), retry=RetryPolicy(backoff=raiser(error))))
    assert ended.where == "later"
    assert 16 <= ended.wait_seconds <= 18


def test_a_backoff_that_raises_does_not_add_attempts(make_job):
    policy = RetryPolicy(attempts=2, backoff=lambda attempts: 1 / 0)
    assert attempt(make_job(raiser(OSError("down")), retry=policy), attempt=2).where == "failed"


def test_an_async_job_is_awaited(make_job):
    async def add(left, right):
        await asyncio.sleep(0)
        return left + right

    assert attempt(make_job(add), 2, 3).entry["result"] == 5


def test_an_async_job_ends_at_its_time_limit(make_job):
    async def hang():
        await asyncio.sleep(60)

    ended = attempt(make_job(hang, timeout=0.05))
    assert ended.entry["outcome"] == "timed out"
    assert ended.entry["error_message"] == "it ran longer than 0.05 s"


@pytest.mark.parametrize("seconds", [math.inf, math.nan, 10**12])
def test_a_default_time_limit_that_cannot_be_is_the_longest_there_is(make_job, jobs_settings, seconds):
    jobs_settings(DEFAULT_TIMEOUT=seconds)
    assert attempt(make_job(lambda: current_run().timeout)).entry["result"] == LONGEST_TIMEOUT_SECONDS


def test_what_goes_wrong_before_the_job_is_called_is_an_ending_too(make_job, jobs_settings):
    jobs_settings(DEFAULT_TIMEOUT="five minutes")
    ended = attempt(make_job(lambda: 1))
    assert (ended.where, ended.entry["error_class"]) == ("later", "TypeError")


def test_a_timeout_of_the_async_jobs_own_is_no_time_limit(make_job):
    async def give_up():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    ended = attempt(make_job(give_up, timeout=30))
    assert ended.entry["outcome"] == "raised"
    assert ended.entry["error_class"] == "TimeoutError"


def test_an_unknown_job_is_put_off_and_does_not_use_up_an_attempt():
    ended = lifecycle.attempt(a_claim("shop.tomorrow", attempt=1), worker="tester")
    assert (ended.where, ended.wait_seconds) == ("later", 30)
    assert ended.entry["verdict"] == "put off"
    assert ended.entry["attempts"] == 0
    assert ended.fields["attempts"] == 0
    assert ended.fields["unknown_since_ms"] == 1795313931000


@pytest.mark.parametrize(("minutes", "where"), [(1, "later"), (59, "later"), (60, "failed"), (600, "failed")])
def test_an_unknown_job_is_buried_after_an_hour(minutes, where):
    since = 1795313931000 - minutes * 60_000
    ended = lifecycle.attempt(a_claim("shop.tomorrow", unknown_since_ms=since), worker="tester")
    assert ended.where == where
    if where == "failed":
        assert ended.entry["reason"] == "unknown_job"
        assert "Deploy the code" in ended.entry["error_message"] or "No job is named" in ended.entry["error_message"]


def test_a_bare_function_name_from_redis_is_not_looked_up(make_job):
    make_job(lambda: 1, name="shop.orders.pack")
    assert registry.get("pack").name == "shop.orders.pack"
    assert lifecycle.attempt(a_claim("pack"), worker="tester").entry["verdict"] == "put off"


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "subprocess.run", "jobs.runs.prune"])
def test_what_redis_names_is_never_imported_or_called(name, monkeypatch):
    monkeypatch.setattr("os.system", raiser(AssertionError("called")))
    ended = lifecycle.attempt(a_claim(name, "echo"), worker="tester")
    assert ended.entry["verdict"] == "put off"


@pytest.mark.parametrize("args", [(), (1, 2), (1, 2, 3)])
def test_arguments_that_do_not_fit_bury_at_once(make_job, args):
    ended = attempt(make_job(lambda order_id: None), *args)
    assert (ended.where, ended.entry["reason"]) == ("failed", "bad_arguments")


@pytest.mark.parametrize(
    "data",
    ["", "not json", "[]", "[1,2,3,4]", '["a.b",null,{},[]]', "[" * 100_000, '"text"', "null", '["a.b",null,[]]'],
    ids=lambda data: data[:10],
)
def test_a_payload_that_cannot_be_read_buries_at_once(data):
    claimed = a_claim("x")
    ended = lifecycle.attempt(replace(claimed, fields={**claimed.fields, "data": data}), worker="tester")
    assert (ended.where, ended.entry["reason"]) == ("failed", "bad_arguments")


@pytest.mark.parametrize(
    "fields",
    [
        {"created_at": "yesterday"},
        {"enqueued_at": "yesterday"},
        {"attempts": "many"},
        {"crashes": "nan"},
        {"own_attempts": "x"},
        {"own_attempts": "-3"},
        {"parent": "nobody"},
        {"claimed_ms": ""},
        {"unknown_since_ms": "long ago"},
        {"life": "x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("durable", [True, False])
def test_a_damaged_field_is_no_reason_to_raise(make_job, fields, durable):
    job = make_job(raiser(OSError("down")), retry=1)
    assert attempt(job, durable=durable, **fields).where in ("failed", "later")


def test_an_interrupted_attempt_is_handed_back_and_not_counted(make_job):
    claimed = a_claim(make_job(lambda: 1, retry=1).name, attempt=1)
    for outcome in (Interrupted(), Abandoned()):
        ended = lifecycle.conclude(claimed, outcome, worker="tester", run_ms=5)
        assert ended.where == "front"
        assert ended.fields["attempts"] == 0
        assert ended.entry["attempts"] == 0


def test_only_a_run_whose_worker_may_live_says_that_it_was_robbed(make_job):
    claimed = a_claim(make_job(lambda: 1, retry=1).name, attempt=1)
    outcomes = (Interrupted(), Abandoned(), Crashed(alone=True), Crashed(alone=False))
    ends = [lifecycle.conclude(claimed, outcome, worker="tester", run_ms=5) for outcome in outcomes]
    assert ["robbed" in ended.fields for ended in ends] == [False, True, False, False]


def test_a_job_that_hands_itself_back_to_a_worker_which_goes_on_waits_a_second(make_job):
    ended = attempt(make_job(raiser(HandBackJob()), retry=1))
    assert (ended.where, ended.wait_seconds, ended.fields["attempts"]) == ("later", 1.0, 0)
    assert (ended.entry["outcome"], ended.entry["verdict"]) == ("interrupted", "put off")
    assert "error_class" not in ended.entry


def test_a_job_that_hands_itself_back_when_its_process_ends_goes_to_the_front(make_job, monkeypatch):
    monkeypatch.setattr(stopping, "_ending", True)
    ended = attempt(make_job(raiser(HandBackJob()), retry=1))
    assert (ended.where, ended.fields["attempts"], ended.entry["verdict"]) == ("front", 0, "hand back")


def test_a_job_hears_that_its_process_ends(make_job, monkeypatch):
    heard = []
    asking = make_job(lambda: heard.append(current_run().stopping()))
    attempt(asking)
    monkeypatch.setattr(stopping, "_ending", True)
    attempt(asking)
    assert heard == [False, True]


@pytest.mark.parametrize(("timeout", "left", "near"), [(300, 11, False), (300, 9, True), (20, 3, False), (20, 1, True)])
def test_a_job_hears_that_its_time_limit_is_near(make_job, timeout, left, near):
    heard = []

    def late() -> None:
        run = replace(current_run(), started=time.monotonic() - timeout + left)
        heard.append(run.stopping())

    attempt(make_job(late, timeout=timeout))
    assert heard == [near]


@pytest.fixture
def ordered():
    """An order to stop the run that `a_claim` gives."""
    orders.note({"t0": StopOrder(0, "ann", "wrong file")})
    yield
    orders.forget(["t0"])


@pytest.mark.usefixtures("ordered")
@pytest.mark.parametrize("error", [JobStopped(), ValueError(), HandBackJob(), JobTimedOut(), DiscardJob()], ids=type)
def test_a_run_that_was_stopped_is_cancelled_however_its_attempt_ends(make_job, error):
    ended = attempt(make_job(raiser(error), retry=5))
    assert (ended.where, ended.entry["outcome"], ended.entry["verdict"]) == ("end", "stopped", "cancel")
    assert ended.entry["reason"] == "stopped by ann: wrong file"
    assert "error_class" not in ended.entry


@pytest.mark.usefixtures("ordered")
def test_a_run_that_is_to_be_stopped_does_not_begin(make_job):
    begun = []
    attempt(make_job(lambda: begun.append(True)))
    assert begun == []


@pytest.mark.usefixtures("ordered")
@pytest.mark.parametrize("outcome", [Interrupted(), Abandoned(), Crashed(alone=True), Crashed(alone=False)])
def test_a_run_that_was_stopped_is_cancelled_however_its_process_ends(make_job, outcome):
    held = a_claim(make_job(print).name)
    ended = lifecycle.conclude(held, outcome, worker="tester", run_ms=1)
    assert (ended.where, ended.queue, ended.entry["verdict"]) == ("end", None, "cancel")


@pytest.mark.usefixtures("ordered")
def test_a_run_that_returned_before_it_was_stopped_is_done(make_job):
    held = a_claim(make_job(print).name)
    assert lifecycle.conclude(held, Returned(1), worker="tester", run_ms=1).entry["verdict"] == "done"


def test_a_job_hears_that_its_run_is_to_be_stopped(make_job):
    heard = []

    def look() -> None:
        orders.note({"t0": StopOrder(0, "ann", "")})
        heard.append(current_run().stopping())

    try:
        attempt(make_job(look))
    finally:
        orders.forget(["t0"])
    assert heard == [True]


def test_a_run_without_a_row_gets_one_when_it_is_stopped(make_job, ordered):
    ended = attempt(make_job(print, durable=False), durable=False)
    assert ended.where == "end"
    assert ended.entry["row"]["name"]


def test_a_crash_is_counted_and_the_third_buries(make_job):
    job = make_job(lambda: 1)
    second = lifecycle.conclude(a_claim(job.name, attempt=2, crashes=1), Crashed(alone=True), worker="tester", run_ms=5)
    assert (second.where, second.fields["crashes"], second.entry["crashes"]) == ("later", 2, 2)
    third = lifecycle.conclude(a_claim(job.name, attempt=3, crashes=2), Crashed(alone=True), worker="tester", run_ms=5)
    assert (third.where, third.entry["reason"]) == ("failed", "killed_worker")


def test_a_traceback_begins_at_the_jobs_own_function(make_job):
    trace = attempt(make_job(raiser(OSError("down")))).entry["traceback"]
    assert "in function" in trace
    assert "jobs/worker/" not in trace


def test_the_traceback_of_an_async_job_begins_at_its_own_function_too(make_job):
    async def fail():
        raise OSError("down")

    trace = attempt(make_job(fail)).entry["traceback"]
    assert "in fail" in trace
    assert "jobs/worker/" not in trace
    assert "asyncio" not in trace


def test_an_error_raised_before_the_function_keeps_its_traceback(jobs_settings):
    jobs_settings(MIDDLEWARE=["tests.no.such.middleware"])
    ended = lifecycle.attempt(a_claim("tests.sample.add", 1, 2), worker="tester")
    assert "ModuleNotFoundError" in ended.entry["traceback"]


def test_the_traceback_of_endless_recursion_is_cut_in_the_middle(make_job):
    def deeper(number):
        return deeper(number + 1) if number % 2 else other(number + 1)

    def other(number):
        return deeper(number + 1)

    trace = attempt(make_job(deeper, traceback_lines=100_000), 0).entry["traceback"]
    assert len(trace) < 21_000
    assert "characters left out" in trace
    assert trace.rstrip().endswith("RecursionError: maximum recursion depth exceeded")


def pay(order_id, card, password="x"):
    raise ValueError(f"card {card!r} of order {order_id} refused, password={password}")


@pytest.mark.parametrize("retry", [1, 5])
def test_a_secret_argument_is_shown_nowhere(make_job, retry, caplog):
    caplog.set_level(logging.DEBUG)
    ended = attempt(make_job(pay, retry=retry, sensitive=["card"]), 17, SECRET, "swordfish")
    shown = json.dumps(ended.entry) + json.dumps(ended.fields) + caplog.text
    assert "order 17" in shown
    assert SECRET not in shown
    assert "swordfish" not in shown


def test_a_secret_argument_of_a_run_without_a_row_is_masked_in_its_row(make_job):
    job = make_job(pay, sensitive=["card"], durable=False, retry=1)
    row = attempt(job, 17, SECRET, "swordfish", durable=False).entry["row"]
    assert row["arguments"] == {"order_id": 17, "card": "[redacted]", "password": "[redacted]"}
    assert row["payload"] == [[17, SECRET, "swordfish"], {}]


def test_nul_and_half_pairs_in_an_error_can_be_stored(make_job):
    ended = attempt(make_job(raiser(ValueError("a\x00b\ud800c"))))
    assert "\x00" not in ended.entry["error_message"]
    json.dumps(ended.entry).encode()
    ended.entry["traceback"].encode()


def test_a_huge_message_is_cut(make_job):
    ended = attempt(make_job(raiser(ValueError("lorem ipsum " * 100_000))))
    assert len(ended.entry["error_message"]) <= 2000
    assert len(ended.entry["traceback"]) < 21_000


def test_a_run_without_a_row_leaves_nothing_to_record_when_it_ends_well(make_job):
    ended = attempt(make_job(lambda: 1, durable=False), durable=False)
    assert (ended.where, ended.entry) == ("gone", None)


def test_a_run_without_a_row_is_recorded_from_its_first_failure_on(make_job):
    ended = attempt(make_job(raiser(OSError("down")), durable=False), durable=False)
    assert ended.where == "later"
    assert ended.entry["row"]["name"] == "tests.made_0"
    assert ended.fields["durable"] == 1


def test_a_job_knows_its_run(make_job):
    seen = []
    job = make_job(lambda: seen.append(current_run()), timeout=30, retry=7, queue="low")
    attempt(job, attempt=2, correlation="request-1")
    run = seen[0]
    assert (run.name, run.attempt, run.attempts, run.correlation) == (job.name, 2, 7, "request-1")
    assert 29 < run.seconds_left() <= 30
    assert run.logger.extra == {"job": job.name, "run": str(run.id), "attempt": 2}


def test_there_is_no_current_run_before_or_after_a_job(make_job):
    attempt(make_job(raiser(OSError())))
    with pytest.raises(NoCurrentRun, match="Pass what it needs"):
        current_run()


def test_an_event_loop_and_its_job_see_the_current_run(make_job):
    async def name():
        return current_run().name

    assert attempt(make_job(name)).entry["result"] == "tests.made_0"


@pytest.mark.django_db(transaction=True)
def test_a_real_claim_goes_all_the_way_to_its_row(make_job):
    run = make_job(lambda left, right: left + right).enqueue(2, 3)
    work_off()
    row = JobRun.objects.get(pk=run.id)
    assert (row.state, row.result, row.attempts) == ("succeeded", 5, 1)


@pytest.mark.django_db(transaction=True)
def test_a_failed_run_waits_in_the_scheduled_set_and_dies_at_last(make_job):
    job = make_job(raiser(OSError("down")), retry=RetryPolicy(attempts=2, backoff=fixed(0), jitter=0))
    run = job.enqueue()
    work_off()
    assert run.state == "retrying"
    client().zadd("rq:scheduled:default", {str(run.id): 0})
    tick([], ["default"])
    work_off()
    row = run.row()
    assert (row.state, row.attempts, row.error_class) == ("dead", 2, "OSError")
    assert [one.verdict for one in row.history.all()] == ["retry", "bury"]
    assert client().hget(job_key(row.rq_id), "status") == b"failed"


@pytest.mark.django_db(transaction=True)
def test_what_is_claimed_is_what_is_told_as_started(make_job):
    make_job(lambda: 1).enqueue()
    claimed = claim()[0]
    entry = entries.started(claimed, worker=WORKER.name)
    assert (entry["entry"], entry["run"], entry["token"]) == ("started", claimed.run_id, claimed.token)
