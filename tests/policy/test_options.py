"""What `@job` accepts."""

from __future__ import annotations

import pytest

from jobs import RetryLater, RetryPolicy
from jobs.circuits import Circuit
from jobs.errors import BadOptions
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS, check_timeout


@pytest.mark.parametrize("timeout", [None, 0.5, 1, LONGEST_TIMEOUT_SECONDS])
def test_a_time_limit_within_reason_is_accepted(timeout):
    check_timeout(timeout, "shop.pack")


@pytest.mark.parametrize("timeout", [1 + LONGEST_TIMEOUT_SECONDS, 10**12, 10**400, 1e300])
def test_a_time_limit_that_no_date_can_carry_is_refused(timeout):
    with pytest.raises(BadOptions, match=r"shop\.pack: timeout=\d.* up to 2592000 \(30 days\)"):
        check_timeout(timeout, "shop.pack")


@pytest.mark.parametrize("rules", [3, "x", [ValueError], None])
def test_rules_that_are_no_dict_are_refused(rules):
    with pytest.raises(BadOptions, match="pass a dict of exception classes"):
        RetryPolicy(rules=rules)


@pytest.mark.parametrize("option", ["counts", "ignores"])
def test_what_a_circuit_counts_is_a_class_or_some(option):
    with pytest.raises(BadOptions, match=option):
        Circuit("tests.never", **{option: 3})


def test_a_time_to_try_again_that_is_no_number_is_refused():
    with pytest.raises(BadOptions, match="seconds='soon': pass a number of seconds"):
        RetryLater("soon")
