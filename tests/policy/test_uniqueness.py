"""When two runs count as the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.errors import BadOptions
from jobs.policy.uniqueness import Unique, check, collapse, step, unique_key

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@pytest.mark.parametrize(
    ("unique", "counted"),
    [(None, None), ("args", ("a", "b")), (["b"], ("b",)), (("a", "b"), ("a", "b")), ([], ())],
)
def test_what_counts_is_what_was_named(unique, counted):
    found = check(unique, ["a", "b"], job="x")
    assert (found and found.by) == counted


@pytest.mark.parametrize(("unique", "cure"), [("a", r"\['a'\]"), (["c"], r"\['a', 'b'\]"), ("arguments", '"args"')])
def test_a_name_that_is_no_parameter_is_refused(unique, cure):
    with pytest.raises(BadOptions, match=cure):
        check(unique, ["a", "b"], job="x")


@settings(suppress_health_check=[HealthCheck.too_slow])
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


# Widened.


def test_a_short_form_stands_for_the_long_one():
    assert check("args", ["a"], job="x") == check(Unique(), ["a"], job="x") == Unique(("a",))


@pytest.mark.parametrize(
    ("unique", "cure"),
    [
        (Unique(until="over"), "'finished', 'started'"),
        (Unique(on_conflict="wait"), "'skip', 'replace', 'raise'"),
        (Unique(lasting=60), "timedelta"),
        (Unique(lasting=timedelta(0)), "above 0"),
        (Unique(["c"]), r"\['a', 'b'\]"),
        (Unique(lambda c: c), "by name"),
        (lambda a: a, "by name"),
        (17, "a function of the arguments"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(unique, cure):
    with pytest.raises(BadOptions, match=cure):
        check(unique, ["a", "b"], job="x")


def test_a_function_makes_the_key_of_the_arguments_by_name():
    by = check(Unique(lambda a, **others: a // 10), ["a", "b"], job="x").by
    assert unique_key("x", {"a": 11, "b": 1}, by) == unique_key("x", {"a": 19, "b": 2}, by)
    assert unique_key("x", {"a": 11, "b": 1}, by) != unique_key("x", {"a": 21, "b": 1}, by)
    assert unique_key("x", {"a": 11, "b": 1}, by) != unique_key("y", {"a": 11, "b": 1}, by)


def test_a_function_may_say_that_a_call_has_no_equal():
    assert unique_key("x", {"a": 1}, lambda a: None) is None


@pytest.mark.parametrize("made", [1.5, True, [1], object()])
def test_a_key_that_is_neither_text_nor_number_is_refused(made):
    with pytest.raises(BadOptions, match="a text or a whole number"):
        unique_key("x", {"a": 1}, lambda a: made)


STEPS = {
    # until, on_conflict: where the run is waiting, started, ended in its period
    ("finished", "skip"): ("give", "give", "give"),
    ("finished", "replace"): ("replace", "raise", "raise"),
    ("finished", "raise"): ("raise", "raise", "raise"),
    ("started", "skip"): ("give", "free", "give"),
    ("started", "replace"): ("replace", "free", "raise"),
    ("started", "raise"): ("raise", "free", "raise"),
}


@pytest.mark.parametrize("choices", STEPS)
def test_what_follows_when_an_equal_run_is_there(choices):
    until, on_conflict = choices
    unique = Unique(until=until, on_conflict=on_conflict)
    assert tuple(step(unique, holder) for holder in ("waiting", "started", "ended")) == STEPS[choices]


calls = st.lists(st.tuples(st.integers(), st.sampled_from(["a", "b", "c", None])))


def key_of(call):
    return call[1]


@given(calls=calls, last=st.booleans())
def test_no_two_of_what_is_left_are_equal_and_each_other_call_has_its_equal_there(calls, last):
    calls = [(number, key) for number, (_, key) in enumerate(calls)]
    chosen, twins = collapse(calls, key_of, last=last)
    keys = [key for _, key in chosen if key is not None]
    assert len(keys) == len(set(keys))
    assert sorted([*chosen, *(twin for twin, _ in twins)]) == calls
    assert chosen == sorted(chosen)
    for twin, standing in twins:
        assert standing in chosen
        assert key_of(twin) == key_of(standing) is not None
        assert (twin < standing) == last
