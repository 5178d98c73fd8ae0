"""What a fuse may catch, and when a rule adds one."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import BadFuse, BadOptions
from jobs.policy.fusing import Figures, FuseRule, check, conditions, matches, parse_condition, verdict_on


def charge(order_id, amount=100, *, card=None, **extra):
    pass


SIGNATURE = inspect.signature(charge)


def asked(**where):
    return conditions(SIGNATURE, where, job="charge", sensitive=["card"])


@pytest.mark.parametrize(
    ("where", "args", "kwargs", "catches"),
    [
        ({}, [1], {}, True),
        ({"order_id": 1}, [1], {}, True),
        ({"order_id": 1}, [], {"order_id": 1}, True),
        ({"order_id": 1}, [2], {}, False),
        ({"order_id": 1}, ["1"], {}, False),
        ({"order_id": 1}, [True], {}, False),
        ({"order_id": 1}, [1.0], {}, True),
        ({"order_id": None}, [None], {}, True),
        ({"order_id": None}, [False], {}, False),
        ({"amount": 100}, [1], {}, True),
        ({"amount": 100}, [1, 99], {}, False),
        ({"amount": 99}, [1], {"amount": 99}, True),
        ({"amount": 99}, [1], {}, False),
        ({"order_id": 1, "amount": 5}, [1, 5], {}, True),
        ({"order_id": 1, "amount": 5}, [1, 6], {}, False),
    ],
)
def test_a_run_is_caught_by_what_it_was_asked_for_with(where, args, kwargs, catches):
    assert matches(asked(**where), args, kwargs) is catches


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.5, 1.0, "1", "", "é"]))


@settings(max_examples=60)
@given(value=SCALARS, passed=SCALARS)
def test_how_an_argument_was_passed_makes_no_difference(value, passed):
    by_position = matches(asked(order_id=value), [passed], {})
    assert by_position is matches(asked(order_id=value), [], {"order_id": passed})
    assert by_position is (in_json(value) == in_json(passed))


def in_json(value):
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return json.dumps(float(value) if is_number else value)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ({"order": 1}, 'no argument "order".*order_id'),
        ({"extra": 1}, 'no argument "extra"'),
        ({"card": "4242"}, "sensitive"),
        ({"order_id": [1]}, "cannot be compared"),
        ({"order_id": {"a": 1}}, "cannot be compared"),
        ({"order_id": 2**53}, "cannot be compared"),
        ({"order_id": float("nan")}, "cannot be compared"),
        ({"order_id": "x" * 501}, "cannot be compared"),
        ({f"argument_{number}": 1 for number in range(6)}, "5 at the most"),
    ],
)
def test_what_cannot_be_matched_exactly_is_refused(where, why):
    with pytest.raises(BadFuse, match=why):
        asked(**where)


@pytest.mark.parametrize(
    ("action", "rate", "seconds", "why"),
    [
        ("holt", "", 60, 'Did you mean "hold"'),
        ("hold", "5/s", 60, "goes with slow only"),
        ("slow", "", 60, "needs a rate"),
        ("hold", "", 0, "must end"),
        ("hold", "", 31 * 86_400, "must end"),
        ("hold", "", float("inf"), "must end"),
        ("hold", "", float("nan"), "must end"),
    ],
)
def test_a_fuse_that_cannot_be_is_refused(action, rate, seconds, why):
    with pytest.raises(BadFuse, match=why):
        check(action, rate=rate, seconds=seconds)


def test_a_slow_fuse_lets_so_many_start_in_a_second():
    assert check("slow", rate="30/m", seconds=60) == 0.5


def test_a_condition_without_a_name_is_refused():
    with pytest.raises(ValueError, match="order_id=17"):
        parse_condition("17")


@pytest.mark.parametrize(
    ("rule", "figures", "why"),
    [
        (FuseRule(), Figures(crashes=4), ""),
        (FuseRule(), Figures(crashes=5), "5 crashes in 10 minutes"),
        (FuseRule(), Figures(ended=1000, failed=1000), ""),
        (FuseRule(crashes=1, within=60), Figures(crashes=1), "1 crash in a minute"),
        (FuseRule(crashes=None), Figures(crashes=100), ""),
        (FuseRule(failure_rate=0.5), Figures(ended=19, failed=19), ""),
        (FuseRule(failure_rate=0.5), Figures(ended=20, failed=9), ""),
        (FuseRule(failure_rate=0.5), Figures(ended=20, failed=10), "10 of 20 attempts failed in 10 minutes"),
        (FuseRule(failure_rate=0.5, of=4), Figures(ended=4, failed=2), "2 of 4 attempts failed in 10 minutes"),
    ],
)
def test_a_rule_speaks_at_its_threshold(rule, figures, why):
    assert verdict_on(figures, rule) == why


@settings(max_examples=60)
@given(
    crashes=st.integers(0, 20),
    ended=st.integers(0, 100),
    share=st.floats(0, 1),
    more=st.integers(0, 5),
    rate=st.floats(0.01, 1),
)
def test_more_failures_never_unmake_a_fuse(crashes, ended, share, more, rate):
    failed = int(ended * share)
    rule = FuseRule(failure_rate=rate)
    if verdict_on(Figures(crashes, ended, failed), rule):
        assert verdict_on(Figures(crashes + more, ended + more, failed + more), rule)


@pytest.mark.parametrize(
    "options",
    [
        {"crashes": 0},
        {"crashes": True},
        {"failure_rate": 0},
        {"failure_rate": 1.1},
        {"of": 0},
        {"within": 59},
        {"action": "slow"},
        {"action": "explode"},
        {"for_seconds": 0},
    ],
)
def test_a_rule_that_cannot_be_is_refused_where_it_is_written(options):
    with pytest.raises(BadOptions, match="FuseRule"):
        FuseRule(**options)
