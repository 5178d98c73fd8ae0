"""The table of a policy says what the judge does."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import Bury, Discard, RetryPolicy, exponential, fixed, jitter
from jobs.policy.outcome import Raised
from jobs.policy.plan import MOST_STEPS, Step, plan_of_crashes, plans
from jobs.policy.retry import Retry, Standing, judge


class NotFound(Exception):
    def __init__(self, one, two):
        raise AssertionError("nobody may make one")


class Refused(Exception):
    pass


TWICE = RetryPolicy(attempts=3, backoff=fixed(10), jitter=0, then=Discard)


def test_a_step_has_its_wait_and_when_the_next_attempt_starts():
    (plan,) = plans(RetryPolicy(attempts=3, backoff=exponential(first=10), jitter=0.5))
    assert plan.steps == (
        Step(1, (10, 15), (10, 15), ""),
        Step(2, (20, 30), (30, 45), ""),
        Step(3, None, None, "exhausted"),
    )


def test_each_rule_has_its_own_steps():
    plain, refused, not_found = plans(RetryPolicy(rules={Refused: Bury, NotFound: TWICE}))
    assert len(plain.steps) == 25
    assert (refused.error, refused.policy, refused.steps) == (
        f"{__name__}.Refused",
        None,
        (Step(1, None, None, "permanent"),),
    )
    assert (not_found.policy, [step.wait for step in not_found.steps]) == (TWICE, [(10, 10), (10, 10), None])
    assert not_found.steps[-1].end == "discard"


def test_a_rule_for_every_error_leaves_the_steps_of_what_has_none():
    plain, _ = plans(RetryPolicy(attempts=2, rules={Exception: Bury}))
    assert [step.end for step in plain.steps] == ["", "exhausted"]


def test_a_deadline_cuts_and_where_it_depends_on_the_dice_both_are_told():
    policy = RetryPolicy(attempts=9, backoff=fixed(3600), jitter=jitter.EQUAL, deadline=timedelta(hours=2))
    (plan,) = plans(policy)
    assert [(step.number, step.at, step.end) for step in plan.steps] == [
        (1, (1800, 3600), ""),
        (2, (3600, 7200), ""),
        (3, (5400, 5400), "deadline"),
        (4, (7200, 7200), ""),
        (5, None, "deadline"),
    ]


def test_an_expiry_cuts():
    (plan,) = plans(RetryPolicy(backoff=fixed(60), jitter=0), expires=150, expired=Discard)
    assert [(step.wait, step.end) for step in plan.steps] == [((60, 60), ""), ((60, 60), ""), (None, "discard")]


def test_crashes_have_steps():
    assert [step.end for step in plan_of_crashes(RetryPolicy()).steps] == ["", "", "killed_worker"]


def test_a_backoff_that_fails_is_told_as_a_worker_takes_it():
    (plan,) = plans(RetryPolicy(attempts=2, backoff=lambda failures: 1 / 0, jitter=0))
    assert plan.steps[0].wait == (16, pytest.approx(17.6))


def test_a_table_ends_though_the_attempts_do_not():
    (plan,) = plans(RetryPolicy(attempts=10**9, backoff=fixed(0)))
    assert len(plan.steps) == MOST_STEPS


@given(
    attempts=st.integers(1, 12),
    first=st.floats(0, 1000),
    spread=st.sampled_from([0.0, 0.3, jitter.FULL, jitter.EQUAL, jitter.around(0.4)]),
    rolls=st.lists(st.floats(0, 1), min_size=12, max_size=12),
)
def test_whatever_the_dice_say_the_judge_stays_within_the_table(attempts, first, spread, rolls):
    policy = RetryPolicy(attempts=attempts, backoff=exponential(first=first), jitter=spread)
    (plan,) = plans(policy)
    age = 0.0
    for step, roll in zip(plan.steps, rolls, strict=False):
        verdict = judge(
            Raised(OSError()), policy, attempt=step.number, crashes=0, roll=roll, standing=Standing(age=age)
        )
        assert isinstance(verdict, Retry) == (step.wait is not None)
        if isinstance(verdict, Retry):
            age += verdict.seconds
            assert step.wait[0] <= verdict.seconds <= step.wait[1] or math.isclose(verdict.seconds, step.wait[1])
            assert step.at[0] - 1e-6 <= age <= step.at[1] + 1e-6
