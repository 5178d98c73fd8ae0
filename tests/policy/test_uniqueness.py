"""When two runs count as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import BadOptions
from jobs.policy.uniqueness import check, unique_key

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@pytest.mark.parametrize(
    ("unique", "counted"),
    [(None, None), ("args", ("a", "b")), (["b"], ("b",)), (("a", "b"), ("a", "b")), ([], ())],
)
def test_what_counts_is_what_was_named(unique, counted):
    assert check(unique, ["a", "b"], job="x") == counted


@pytest.mark.parametrize(("unique", "cure"), [("a", r"\['a'\]"), (["c"], r"\['a', 'b'\]"), ("arguments", '"args"')])
def test_a_name_that_is_no_parameter_is_refused(unique, cure):
    with pytest.raises(BadOptions, match=cure):
        check(unique, ["a", "b"], job="x")


@given(arguments=st.dictionaries(st.sampled_from("abc"), values))
def test_equal_arguments_have_equal_keys_in_any_order(arguments):
    turned = dict(reversed(arguments.items()))
    assert unique_key("x", arguments, "abc") == unique_key("x", turned, "abc")


@given(first=values, second=values)
def test_different_arguments_have_different_keys(first, second):
    same = repr(first) == repr(second)
    assert (unique_key("x", {"a": first}, ["a"]) == unique_key("x", {"a": second}, ["a"])) == same


def test_the_name_of_the_job_counts():
    assert unique_key("x", {"a": 1}, ["a"]) != unique_key("y", {"a": 1}, ["a"])


def test_parameters_that_do_not_count_do_not_matter():
    assert unique_key("x", {"a": 1, "b": 2}, ["a"]) == unique_key("x", {"a": 1, "b": 3}, ["a"])
    assert unique_key("x", {"a": 1}, []) == unique_key("x", {"a": 2}, [])


def test_a_value_that_is_no_json_counts_by_its_class():
    nothing = object()
    assert unique_key("x", {"a": nothing}, ["a"]) == unique_key("x", {"a": object()}, ["a"])
    assert unique_key("x", {"a": nothing}, ["a"]) != unique_key("x", {"a": None}, ["a"])
