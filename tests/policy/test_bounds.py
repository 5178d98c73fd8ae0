"""What ends a run before its attempts are used up, and how waits spread."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import RetryLater, RetryPolicy, delays, exponential, fixed, jitter, polynomial
from jobs.errors import BadOptions
from jobs.policy.bounds import Bounds, read
from jobs.policy.outcome import Crashed, Expired, Interrupted, Raised
from jobs.policy.retry import Bury, Discard, HandBack, Retry, Standing, judge
from jobs.policy.storable import LARGEST, LATEST_MS


class NotFound(Exception):
    pass


class Busy(Exception):
    pass


NOT_FOUND, BUSY = (f"{__name__}.{name}" for name in ("NotFound", "Busy"))
TWICE = RetryPolicy(attempts=3, backoff=fixed(10), jitter=0, then=Discard)
DAY = timedelta(hours=24)


def verdict_on(error, policy, *, attempt=1, roll=0.0, **standing):
    return judge(Raised(error), policy, attempt=attempt, crashes=0, roll=roll, standing=Standing(**standing))


def history(errors, policy, *, roll=0.0):
    """The verdicts on errors one after the other, as a worker gives them."""
    verdicts, failures, age = [], {}, 0.0
    for attempt, error in enumerate(errors, 1):
        verdict = verdict_on(error, policy, attempt=attempt, roll=roll, failures=failures, age=age)
        verdicts.append(verdict)
        if not isinstance(verdict, Retry):
            break
        if verdict.rule:
            failures[verdict.rule] = failures.get(verdict.rule, 0) + 1
        age += verdict.seconds
    return verdicts


# Rules.


def test_a_4xx_is_tried_twice_after_10_s_and_then_discarded():
    policy = RetryPolicy(rules={NotFound: TWICE})
    retry = Retry(10, rule=NOT_FOUND)
    assert history([NotFound()] * 9, policy) == [retry, retry, Discard()]


def test_a_rule_counts_only_its_own_failures():
    policy = RetryPolicy(backoff=fixed(1), jitter=0, rules={NotFound: TWICE})
    told = history([OSError(), OSError(), OSError(), NotFound(), OSError(), NotFound(), NotFound()], policy)
    assert [verdict.name for verdict in told] == ["retry"] * 6 + ["discard"]


def test_the_wait_of_a_rule_goes_by_its_own_count():
    policy = RetryPolicy(backoff=fixed(1), jitter=0, rules={Busy: RetryPolicy(backoff=delays([5, 50]), jitter=0)})
    told = history([OSError(), OSError(), Busy(), OSError(), Busy()], policy)
    assert [verdict.seconds for verdict in told] == [1, 1, 5, 1, 50]


def test_the_attempts_of_the_policy_bound_its_rules():
    policy = RetryPolicy(attempts=3, rules={Busy: RetryPolicy(attempts=50, backoff=fixed(1))})
    assert history([Busy()] * 9, policy)[2:] == [Bury("exhausted")]


def test_where_both_are_used_up_at_once_the_rule_says_what_then():
    policy = RetryPolicy(attempts=3, rules={NotFound: TWICE})
    assert history([NotFound()] * 9, policy)[2:] == [Discard()]


def test_a_policy_may_discard_what_it_gives_up():
    assert verdict_on(OSError(), RetryPolicy(attempts=1, then=Discard)) == Discard()


@given(
    errors=st.lists(st.sampled_from([OSError(), NotFound(), Busy()]), min_size=1, max_size=40),
    attempts=st.integers(1, 30),
    own=st.integers(1, 30),
    roll=st.floats(0, 1),
)
def test_no_count_is_ever_passed(errors, attempts, own, roll):
    rules = {NotFound: RetryPolicy(attempts=own, backoff=fixed(1)), Busy: TWICE}
    policy = RetryPolicy(attempts=attempts, backoff=fixed(1), rules=rules)
    told = history(errors, policy, roll=roll)
    tried = errors[: len(told)]
    assert len(told) <= attempts
    assert sum(isinstance(error, NotFound) for error in tried) <= own
    assert sum(isinstance(error, Busy) for error in tried) <= TWICE.attempts
    # And nobody gives up before one of them is used up.
    if not isinstance(told[-1], Retry):
        counts = [sum(isinstance(error, kind) for error in tried) for kind in (NotFound, Busy)]
        assert len(told) == attempts or counts[0] == own or counts[1] == TWICE.attempts


# A deadline.


def test_no_retry_comes_after_the_deadline():
    policy = RetryPolicy(backoff=fixed(3600), jitter=0, deadline=DAY)
    told = history([OSError()] * 99, policy)
    assert (len(told), told[-1]) == (25, Bury("exhausted"))
    policy = RetryPolicy(attempts=99, backoff=fixed(7200), jitter=0, deadline=DAY)
    told = history([OSError()] * 99, policy)
    assert (len(told), told[-1]) == (13, Bury("deadline"))


def test_a_retry_right_at_the_deadline_still_comes():
    policy = RetryPolicy(backoff=fixed(3600), jitter=0, deadline=DAY)
    assert verdict_on(OSError(), policy, age=23 * 3600.0) == Retry(3600)
    assert verdict_on(OSError(), policy, age=23 * 3600.0 + 1) == Bury("deadline")


def test_what_a_partner_asks_for_is_bound_by_the_deadline_too():
    policy = RetryPolicy(deadline=timedelta(minutes=5))
    assert verdict_on(RetryLater(301), policy) == Bury("deadline")


def test_a_rule_may_have_a_deadline_of_its_own_and_is_bound_by_the_policys():
    hour = timedelta(hours=1)
    policy = RetryPolicy(deadline=DAY, rules={Busy: RetryPolicy(backoff=fixed(60), deadline=hour, then=Discard)})
    assert verdict_on(Busy(), policy, age=3600.0) == Discard()
    assert verdict_on(OSError(), policy, age=3600.0).name == "retry"
    assert verdict_on(Busy(), RetryPolicy(deadline=hour, rules={Busy: TWICE}), age=3600.0) == Bury("deadline")


def test_a_crash_is_bound_by_the_deadline_and_an_interruption_is_not():
    policy, late = RetryPolicy(deadline=DAY), Standing(age=2 * 86_400.0)
    assert judge(Crashed(alone=True), policy, attempt=1, crashes=0, roll=0, standing=late) == Bury("deadline")
    assert judge(Interrupted(), policy, attempt=1, crashes=0, roll=0, standing=late) == HandBack()


@given(
    hours=st.floats(0.01, 100),
    roll=st.floats(0, 1),
    spread=st.sampled_from([0.0, 0.1, 1.0, jitter.FULL, jitter.EQUAL, jitter.around(0.3)]),
)
def test_whatever_the_waits_are_no_attempt_starts_after_the_deadline(hours, roll, spread):
    deadline = timedelta(hours=hours)
    policy = RetryPolicy(attempts=60, backoff=exponential(first=5), jitter=spread, deadline=deadline)
    told = history([OSError()] * 60, policy, roll=roll)
    assert sum(verdict.seconds for verdict in told if isinstance(verdict, Retry)) <= deadline.total_seconds()


# An expiry.


def test_a_retry_that_would_come_after_the_expiry_is_none():
    assert verdict_on(OSError(), TWICE, left=10.0) == Retry(10)
    assert verdict_on(OSError(), TWICE, left=9.9) == Bury("expired")
    assert verdict_on(OSError(), TWICE, left=9.9, expired=Discard) == Discard()


def test_what_has_expired_ends_as_the_job_says():
    for chosen, verdict in ((Bury, Bury("expired")), (Discard, Discard())):
        standing = Standing(expired=chosen)
        assert judge(Expired(OSError()), TWICE, attempt=1, crashes=0, roll=0, standing=standing) == verdict


# What a run's hash keeps of it.


@given(
    expires=st.integers(0, LATEST_MS),
    since=st.integers(0, LATEST_MS),
    failures=st.dictionaries(st.text(max_size=20), st.integers(1, LARGEST), max_size=5),
)
def test_what_is_kept_is_what_is_read(expires, since, failures):
    kept = Bounds(expires, since, failures)
    assert read(kept.dump()) == kept


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_whatever_a_hash_says_is_read_as_bounds(text):
    bounds = read(text)
    assert 0 <= bounds.expires_ms <= LATEST_MS
    assert 0 <= bounds.since_ms <= LATEST_MS


@given(
    st.dictionaries(
        st.sampled_from(["expires", "since", "failures"]),
        st.integers() | st.floats() | st.text() | st.dictionaries(st.text(), st.integers() | st.none()),
    )
)
def test_damaged_bounds_bind_within_what_can_be(told):
    bounds = read(json.dumps(told))
    standing = bounds.standing(now_ms=1795313931000, first_due_ms=1795313930000, expired=Bury)
    assert standing.age >= 0
    assert standing.left >= 0
    assert all(0 <= count <= LARGEST for count in bounds.failures.values())


# Jitter.


@pytest.mark.parametrize(
    ("spread", "shortest", "longest"),
    [
        (0, 60, 60),
        (0.1, 60, 66),
        (jitter.NONE, 60, 60),
        (jitter.FULL, 0, 60),
        (jitter.EQUAL, 30, 60),
        (jitter.on_top(0.5), 60, 90),
        (jitter.around(0.25), 45, 75),
    ],
    ids=str,
)
def test_each_jitter_spreads_a_wait_over_its_range(spread, shortest, longest):
    policy = RetryPolicy(backoff=fixed(60), jitter=spread)
    assert verdict_on(OSError(), policy, roll=0) == Retry(shortest)
    assert verdict_on(OSError(), policy, roll=1) == Retry(longest)


@given(
    spread=st.sampled_from([jitter.NONE, jitter.FULL, jitter.EQUAL, jitter.on_top(0.7), jitter.around(1)]),
    asked=st.floats(0, 86_400),
    roll=st.floats(0, 1),
)
def test_no_jitter_comes_before_the_time_that_a_partner_asked_for(spread, asked, roll):
    verdict = verdict_on(RetryLater(asked), RetryPolicy(jitter=spread), roll=roll)
    assert asked <= verdict.seconds <= 3 * asked


@given(share=st.floats(0, 1), wait=st.floats(0, 1e9), roll=st.floats(0, 1))
def test_a_number_is_that_share_on_top(share, wait, roll):
    assert jitter.of(share).spread(wait, roll=roll) == jitter.on_top(share).spread(wait, roll=roll) >= wait


@pytest.mark.parametrize(
    "make", [lambda: jitter.on_top(1.1), lambda: jitter.around(-1), lambda: jitter.on_top(math.nan)]
)
def test_a_share_that_cannot_be_is_refused_with_the_others_to_choose_from(make):
    with pytest.raises(BadOptions, match=r"jitter\.EQUAL"):
        make()


def test_the_default_policy_is_as_it_was():
    policy = RetryPolicy()
    assert (policy.attempts, policy.backoff, policy.deadline, policy.then) == (25, polynomial(), None, Bury)
