"""What limits say, and which runs are counted together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import at_once, per_window
from jobs.errors import BadOptions
from jobs.policy.limits import check, disagreeing, group, numbers

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5
)
many_limits = st.lists(
    st.builds(at_once, st.integers(1, 9), key=st.sampled_from([None, "a", ["a", "b"]]), name=st.sampled_from("xyz")),
    max_size=6,
)


@pytest.mark.parametrize(
    ("limit", "words", "told"),
    [
        (at_once(2), "2 at once", (2, 0)),
        (at_once(1, key="customer"), "1 at once for each customer", (1, 0)),
        (at_once(1, key=["customer", "shop"]), "1 at once for each customer and shop", (1, 0)),
        (per_window(100, seconds=60), "100 per 60 s", (100, 60_000_000)),
        (per_window(1, seconds=0.5), "1 per 0.5 s", (1, 500_000)),
    ],
)
def test_a_limit_says_how_many(limit, words, told):
    assert (str(limit), limit.numbers) == (words, told)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda: at_once(0), "whole number from 1"),
        (lambda: at_once(True), "whole number from 1"),
        (lambda: at_once(1.5), "whole number from 1"),
        (lambda: at_once(2**40), "whole number from 1"),
        (lambda: per_window(200_000, seconds=1), "up to 100000"),
        (lambda: per_window(1, seconds=0), "seconds from 0.01"),
        (lambda: per_window(1, seconds=float("inf")), "seconds from 0.01"),
        (lambda: per_window(1, seconds=10**9), "31 days"),
        (lambda: at_once(1, key=["a", 2]), "a parameter's name"),
        (lambda: at_once(1, key=""), "a parameter's name"),
        (lambda: at_once(1, name="payments api"), "without spaces"),
        (lambda: at_once(1, name="x" * 101), "up to 100"),
    ],
)
def test_what_cannot_be_is_refused_with_the_cure(make, cure):
    with pytest.raises(BadOptions, match=cure):
        make()


@pytest.mark.parametrize(
    ("limits", "cure"),
    [
        (at_once(2), "pass a list of limits"),
        ([2], "pass a list of limits"),
        ([at_once(2, key="custmer")], 'did you mean "customer"'),
        ([at_once(2), at_once(3)], "drop one, or name them"),
        ([at_once(2, name="x"), at_once(2, name="x", key="customer")], "drop one, or name them"),
    ],
)
def test_a_job_is_refused_limits_that_do_not_fit_it(limits, cure):
    with pytest.raises(BadOptions, match=f"(?i)a.b: .*{cure}"):
        check(limits, ["customer"], job="a.b")


def test_limits_of_one_job_may_differ_in_kind_key_or_name():
    given = [
        at_once(1),
        at_once(2, key="a"),
        at_once(3, key=["a", "b"]),
        per_window(4, seconds=1),
        at_once(5, name="x"),
    ]
    made = check(given, ["a", "b"], job="shop.pack")
    assert [one.id for one in made] == [
        "at_once:shop.pack",
        "at_once:shop.pack[a]",
        "at_once:shop.pack[a,b]",
        "per_window:shop.pack",
        "at_once:x",
    ]


def test_runs_are_counted_under_the_values_of_their_keys():
    made = check([at_once(1, key="a"), at_once(1, key=["a", "b"], name="x")], ["a", "b"], job="shop.pack")
    text = group(made, job="shop.pack", arguments={"a": 17, "b": "ab c"})
    assert text == 'shop.pack\tat_once:shop.pack[a] 17\tat_once:x [17,"ab c"]'


def test_a_job_whose_name_has_spaces_is_limited_all_the_same():
    made = check([at_once(1)], [], job="pack a\tparcel")
    assert group(made, job="pack a\tparcel", arguments={}) == "pack_a_parcel\tat_once:pack_a_parcel"


@given(value=values)
def test_whatever_the_value_a_lane_has_a_short_name_of_as_many_words_as_limits(value):
    made = check([at_once(1, key="a"), per_window(1, seconds=1)], ["a"], job="shop.pack")
    text = group(made, job="shop.pack", arguments={"a": value})
    assert len(text.split("\t")) == 3
    assert len(text) < 150
    assert text.isascii()
    assert text.replace("\t", "").isprintable()


@given(first=values, second=values)
def test_only_equal_values_are_counted_together(first, second):
    made = check([at_once(1, key="a")], ["a"], job="shop.pack")
    texts = [group(made, job="shop.pack", arguments={"a": value}) for value in (first, second)]
    assert (texts[0] == texts[1]) == (repr(first) == repr(second))


def test_a_default_that_is_no_json_counts_by_its_class():
    made = check([at_once(1, key="a")], ["a"], job="shop.pack")
    texts = {group(made, job="shop.pack", arguments={"a": object()}) for _ in range(2)}
    assert len(texts) == 1


@given(limits=many_limits)
def test_of_limits_with_one_name_the_smallest_number_holds(limits):
    told = numbers(limits)
    assert set(told) == {one.id for one in limits}
    assert all(told[one.id][0] <= one.most for one in limits)
    assert all(pair in [one.numbers for one in limits if one.id == name] for name, pair in told.items())


@given(limits=many_limits)
def test_jobs_that_disagree_are_named(limits):
    found = disagreeing({f"job{number}": [one] for number, one in enumerate(limits)})
    told = {(one.id, one.most, len(one.key)) for one in limits}
    assert {name for name, _ in found} == {name for name, *_ in told if sum(other == name for other, *_ in told) > 1}


def test_jobs_that_call_their_parameters_differently_may_share_a_limit():
    limits = {"a": [at_once(2, key="customer", name="x")], "b": [at_once(2, key="customer_id", name="x")]}
    assert disagreeing(limits) == []
