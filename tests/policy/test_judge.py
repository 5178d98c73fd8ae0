"""From an outcome to a verdict."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import DiscardJob, JobTimedOut, PutOffJob, RetryLater, RetryPolicy, fixed
from jobs.errors import BadOptions
from jobs.policy.outcome import (
    Abandoned,
    Crashed,
    DatabaseAway,
    Expired,
    Interrupted,
    NotAccepted,
    NotKnown,
    Postponed,
    Raised,
    Returned,
    TimedOut,
)
from jobs.policy.retry import (
    FRESH,
    LONGEST_RETRY_AFTER_SECONDS,
    LONGEST_WAIT_SECONDS,
    Bury,
    Discard,
    Done,
    HandBack,
    PutOff,
    Retry,
    Standing,
    judge,
)


class Declined(Exception):
    pass


class StolenCard(Declined):
    pass


class Gone(Exception):
    pass


class Slow(Exception):
    pass


class BothSlowAndGone(Slow, Gone):
    pass


SLOW = f"{__name__}.Slow"
POLICY = RetryPolicy(
    attempts=5,
    backoff=fixed(60),
    jitter=0,
    rules={
        Declined: Bury,
        StolenCard: Discard,
        Gone: Discard,
        Slow: RetryPolicy(attempts=3, backoff=fixed(600), jitter=0),
        JobTimedOut: Bury,
    },
)


def verdict_on(outcome, policy=POLICY, *, attempt=1, crashes=0, roll=0.0, standing=FRESH):
    return judge(outcome, policy, attempt=attempt, crashes=crashes, roll=roll, standing=standing)


@pytest.mark.parametrize(
    ("outcome", "attempt", "crashes", "expected"),
    [
        (Returned(), 1, 0, Done()),
        (Returned(), 99, 9, Done()),
        (Raised(OSError()), 1, 0, Retry(60)),
        (Raised(OSError()), 4, 0, Retry(60)),
        (Raised(OSError()), 5, 0, Bury("exhausted")),
        (Raised(OSError()), 99, 0, Bury("exhausted")),
        (Raised(Declined()), 1, 0, Bury("permanent")),
        (Raised(Gone()), 5, 0, Discard()),
        (Raised(Slow()), 4, 0, Retry(600, rule=SLOW)),
        (Raised(Slow()), 5, 0, Bury("exhausted")),
        (Expired(RuntimeError()), 1, 0, Bury("expired")),
        (Raised(DiscardJob()), 5, 0, Discard()),
        (Raised(RetryLater(7)), 1, 0, Retry(7)),
        (Raised(RetryLater(7)), 5, 0, Bury("exhausted")),
        (Raised(SystemExit(3)), 1, 0, Retry(60)),
        (Raised(KeyboardInterrupt()), 1, 0, Retry(60)),
        (TimedOut(JobTimedOut()), 1, 0, Bury("permanent")),
        (Crashed(alone=True), 1, 0, Retry(1)),
        (Crashed(alone=True), 2, 1, Retry(4)),
        (Crashed(alone=True), 3, 2, Bury("killed_worker")),
        (Crashed(alone=True), 5, 0, Bury("killed_worker")),
        (Interrupted(), 5, 0, HandBack()),
        (Interrupted(seconds=1), 5, 0, PutOff(1)),
        (Abandoned(), 5, 0, HandBack()),
        (DatabaseAway(OSError(), 0), 99, 0, PutOff(2)),
        (DatabaseAway(OSError(), 10), 99, 0, PutOff(5)),
        (DatabaseAway(OSError(), 86_400), 99, 0, PutOff(15)),
        (NotKnown(KeyError(), 0), 1, 0, PutOff(30)),
        (NotKnown(KeyError(), 3599), 99, 0, PutOff(30)),
        (NotKnown(KeyError(), 3600), 1, 0, Bury("unknown_job")),
        (Postponed(PutOffJob(30), 30), 99, 0, PutOff(30)),
        (Postponed(PutOffJob(0), 0), 99, 0, PutOff(1)),
        (Postponed(PutOffJob(1e12), 1e12), 1, 0, PutOff(LONGEST_WAIT_SECONDS)),
        (NotAccepted(TypeError()), 1, 0, Bury("bad_arguments")),
    ],
)
def test_each_outcome_has_its_verdict(outcome, attempt, crashes, expected):
    assert verdict_on(outcome, attempt=attempt, crashes=crashes) == expected


def test_a_timeout_without_a_rule_is_retried_like_any_error():
    assert verdict_on(TimedOut(JobTimedOut()), RetryPolicy(backoff=fixed(9), jitter=0)) == Retry(9)


def test_one_attempt_means_that_the_first_failure_buries():
    assert verdict_on(Raised(OSError()), RetryPolicy(attempts=1)) == Bury("exhausted")


def test_one_attempt_that_is_interrupted_is_not_used_up():
    assert verdict_on(Interrupted(), RetryPolicy(attempts=1)) == HandBack()


def test_the_rule_of_the_closest_class_wins():
    assert verdict_on(Raised(StolenCard())) == Discard()
    assert verdict_on(Raised(Declined())) == Bury("permanent")


def test_of_two_parents_with_rules_the_first_in_the_mro_wins():
    assert verdict_on(Raised(BothSlowAndGone())) == Retry(600, rule=SLOW)


def test_a_rule_for_the_base_class_catches_all_others():
    policy = RetryPolicy(rules={BaseException: Discard, OSError: Bury})
    assert verdict_on(Raised(ConnectionError()), policy) == Bury("permanent")
    assert verdict_on(Raised(SystemExit()), policy) == Discard()


def test_discardjob_ends_quietly_whatever_the_rules_say():
    assert verdict_on(Raised(DiscardJob()), RetryPolicy(rules={Exception: Bury})) == Discard()


def test_fewer_attempts_for_one_run_bind_its_rules_too():
    policy = POLICY.with_attempts(2)
    assert verdict_on(Raised(Slow()), policy, attempt=2) == Bury("exhausted")
    assert verdict_on(Raised(OSError()), policy, attempt=2) == Bury("exhausted")
    assert verdict_on(Raised(Declined()), policy) == Bury("permanent")


def test_more_attempts_for_one_run_leave_the_rules_their_own():
    standing = Standing(failures={SLOW: 2})
    assert verdict_on(Raised(Slow()), POLICY.with_attempts(50), attempt=3, standing=standing) == Bury("exhausted")


@pytest.mark.parametrize(("seconds", "longest"), [(1, 1.5), (60, 90), (3600, 3660)])
def test_what_is_put_off_comes_back_spread_and_never_too_soon(seconds, longest):
    assert verdict_on(Postponed(PutOffJob(seconds), seconds), roll=0.0) == PutOff(seconds)
    assert verdict_on(Postponed(PutOffJob(seconds), seconds), roll=1.0) == PutOff(longest)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan, True, "5", None])
def test_a_put_off_by_what_is_no_number_of_seconds_is_refused(seconds):
    with pytest.raises(BadOptions, match="finite number of seconds"):
        PutOffJob(seconds)


def carrying(seconds):
    error = OSError("busy")
    error.retry_after = seconds
    return Raised(error)


@pytest.mark.parametrize(
    ("carried", "waits"),
    [
        (0, 0),
        (12, 12),
        (0.5, 0.5),
        (-5, 0),
        (10**9, LONGEST_RETRY_AFTER_SECONDS),
        (10**400, LONGEST_RETRY_AFTER_SECONDS),
        (-(10**400), 0),
        (math.inf, 60),
        (-math.inf, 60),
        (math.nan, 60),
        (None, 60),
        ("30", 60),
        (True, 60),
        ([], 60),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_wait_that_the_error_carries_is_honoured_where_it_makes_sense(carried, waits):
    assert verdict_on(carrying(carried)) == Retry(waits)


def test_a_carried_wait_goes_before_the_backoff_of_a_rule():
    error = Slow()
    error.retry_after = 5
    assert verdict_on(Raised(error)) == Retry(5, rule=SLOW)


@given(
    carried=st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.booleans()),
    attempt=st.integers(1, 50),
    crashes=st.integers(0, 5),
    roll=st.floats(0, 1),
)
def test_a_wait_is_always_a_finite_number_of_seconds(carried, attempt, crashes, roll):
    for outcome in (carrying(carried), Crashed(alone=True), TimedOut(JobTimedOut())):
        verdict = verdict_on(outcome, RetryPolicy(), attempt=attempt, crashes=crashes, roll=roll)
        if isinstance(verdict, Retry):
            assert 0 <= verdict.seconds <= 40 * 86_400


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -1.0, 1e300])
def test_a_backoff_that_makes_no_sense_still_gives_a_wait_that_a_clock_can_hold(seconds):
    verdict = verdict_on(Raised(OSError()), RetryPolicy(backoff=lambda attempts: seconds))
    assert isinstance(verdict, Retry)
    assert 0 <= verdict.seconds <= 366 * 86_400


@given(limit=st.integers(1, 60), attempt=st.integers(1, 100))
def test_a_run_is_never_tried_more_often_than_its_policy_says(limit, attempt):
    policy = RetryPolicy(attempts=limit)
    for outcome in (Raised(OSError()), TimedOut(JobTimedOut()), Crashed(alone=True)):
        retried = isinstance(verdict_on(outcome, policy, attempt=attempt), Retry)
        assert retried == (attempt < limit)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"attempts": -1}, "attempts=-1"),
        ({"attempts": True}, "attempts=True"),
        ({"attempts": 2.5}, "attempts=2.5"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": 1.1}, "jitter"),
        ({"jitter": math.nan}, "jitter"),
        ({"rules": {"ValueError": Bury}}, "not an exception class"),
        ({"rules": {int: Bury}}, "not an exception class"),
        ({"rules": {ValueError: Bury()}}, "not called"),
        ({"rules": {ValueError: Retry}}, "RetryPolicy"),
        ({"rules": {ValueError: 5}}, "RetryPolicy"),
        ({"rules": {ValueError: RetryPolicy(rules={OSError: Bury})}}, "a rule has no rules of its own"),
        ({"deadline": 3600}, "pass a timedelta above 0"),
        ({"deadline": timedelta(0)}, "pass a timedelta above 0"),
        ({"then": Bury()}, "not called"),
        ({"then": Retry}, "Bury or Discard"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_with_the_cure(options, named):
    with pytest.raises(BadOptions, match=named):
        RetryPolicy(**options)


class OtherFloat(float):
    """As other libraries have them: of a class that does not say what JSON needs."""


@pytest.mark.parametrize("seconds", [60, OtherFloat(60), Decimal(60), Fraction(60)])
def test_a_wait_is_a_plain_number_whatever_a_back_off_gives(seconds):
    policy = RetryPolicy(attempts=5, backoff=lambda attempts: seconds)
    verdict = verdict_on(Raised(OSError()), policy, roll=0.5)
    assert type(verdict.seconds) is float
