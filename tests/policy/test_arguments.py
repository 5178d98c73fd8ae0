"""What may be an argument, and what is said of what may not."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import enum
import inspect
import json
import math
import uuid
from collections import namedtuple
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import ArgumentsNotJSON, ArgumentsTooLarge, BadArguments
from jobs.models import JobRun
from jobs.policy.arguments import bind, dump, dump_result

LIMIT = 1000


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Size(enum.StrEnum):
    SMALL = "s"


@dataclass
class Basket:
    size: int


Point = namedtuple("Point", "x y")


def dumped(value, *, limit=LIMIT):
    return json.loads(dump({"order": value}, name="shop.pack", limit=limit))["order"]


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -5, 2**80, 1.5, "", "ü €", "😀", [], [1, [2, {"a": None}]], {}, {"a": {"b": [1]}}],
)
def test_plain_json_arrives_as_it_was(value):
    assert dumped(value) == value


def test_a_tuple_arrives_as_a_list():
    assert dumped((1, (2, 3))) == [1, [2, 3]]
    assert dumped(Point(1, 2)) == [1, 2]


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        (JobRun(), "pass order.pk and fetch the record"),
        (JobRun.objects.all(), "pass list(order.values_list('pk', flat=True))"),
        (datetime.datetime(2026, 1, 2), "pass order.isoformat()"),
        (datetime.date(2026, 1, 2), "pass order.isoformat()"),
        (datetime.time(1, 2), "pass order.isoformat()"),
        (datetime.timedelta(1), "pass order.total_seconds()"),
        ({1, 2}, "pass sorted(order)"),
        (frozenset(), "pass sorted(order)"),
        (b"x", "base64"),
        (bytearray(), "base64"),
        (memoryview(b""), "base64"),
        (decimal.Decimal("1.5"), "pass str(order)"),
        (uuid.UUID(int=0), "pass str(order)"),
        (Colour.RED, "pass order.value"),
        (Level.HIGH, "pass order.value"),
        (Size.SMALL, "pass order.value"),
        (math.nan, "finite number"),
        (math.inf, "finite number"),
        (-math.inf, "finite number"),
        (Basket(1), "pass ids and plain JSON"),
        (object(), "pass ids and plain JSON"),
        (Basket, "pass ids and plain JSON"),
        (len, "pass ids and plain JSON"),
        (1j, "pass ids and plain JSON"),
        ({1: "a"}, "pass '1'"),
        ({None: "a"}, "pass 'None'"),
        ({(1, 2): "a"}, "JSON's keys are strings"),
        ("\ud800", "surrogate"),
        ("a\x00b", "NUL"),
        ({"\x00": 1}, "NUL"),
        ({"\udc80": 1}, "surrogate"),
        (10**5000, "too long a number"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_what_is_not_plain_json_is_refused_with_what_to_pass(value, cure):
    with pytest.raises(ArgumentsNotJSON) as caught:
        dumped(value, limit=100_000)
    assert cure in str(caught.value)
    assert "shop.pack: order" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([1, {"when": datetime.date(2026, 1, 2)}], "order[1]['when']"),
        ({"a": [[b""]]}, "order['a'][0][0]"),
        ((1, {2}), "order[1]"),
    ],
)
def test_what_is_hidden_deep_inside_is_named_by_its_path(value, path):
    with pytest.raises(ArgumentsNotJSON) as caught:
        dumped(value)
    assert path in str(caught.value)


def test_endless_nesting_is_refused_and_not_followed():
    knot: list = []
    knot.append(knot)
    with pytest.raises(ArgumentsNotJSON, match="nested"):
        dumped(knot)


def test_arguments_of_the_limit_are_taken_and_one_byte_more_is_not():
    overhead = len('{"order":""}')
    assert dumped("x" * (LIMIT - overhead))
    with pytest.raises(ArgumentsTooLarge, match="pass its id"):
        dumped("x" * (LIMIT - overhead + 1))


def test_the_limit_counts_bytes_and_not_characters():
    with pytest.raises(ArgumentsTooLarge):
        dumped("😀" * (LIMIT // 4))


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=32)), inner),
        max_leaves=20,
    )
)
def test_whatever_is_taken_arrives_equal(value):
    assert dumped(value, limit=1_000_000) == value


@given(value=st.text() | st.floats() | st.integers() | st.binary() | st.lists(st.text() | st.dates()))
def test_a_value_is_taken_or_refused_and_nothing_else_happens(value):
    with contextlib.suppress(ArgumentsNotJSON):
        assert isinstance(dumped(value, limit=1_000_000), str | float | int | list)


def call(order_id, note="", *rest, gift=False, **others):
    pass


SIGNATURE = inspect.signature(call)


@pytest.mark.parametrize(
    ("args", "kwargs", "bound"),
    [
        ((1,), {}, {"order_id": 1}),
        ((1, "x"), {"gift": True}, {"order_id": 1, "note": "x", "gift": True}),
        ((1, "x", 2, 3), {}, {"order_id": 1, "note": "x", "rest": (2, 3)}),
        ((), {"order_id": 1, "colour": "red"}, {"order_id": 1, "others": {"colour": "red"}}),
    ],
)
def test_arguments_are_bound_by_name_without_defaults(args, kwargs, bound):
    assert bind(SIGNATURE, "shop.pack", args, kwargs).arguments == bound


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1,), {"order_id": 2})])
def test_arguments_that_do_not_fit_are_refused_with_the_signature(args, kwargs):
    with pytest.raises(BadArguments, match=r"shop\.pack\(order_id, note='', \*rest"):
        bind(SIGNATURE, "shop.pack", args, kwargs)


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no words")

    __str__ = __repr__


@pytest.mark.parametrize(
    "result",
    [None, object(), math.nan, b"x", {1: 2}, "\ud800", "\x00", "x" * 1001, 10**5000, Unspeakable(), {Unspeakable(): 1}],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_cannot_be_kept_is_nothing_and_no_error(result):
    assert dump_result(result, limit=LIMIT) is None


@pytest.mark.parametrize("result", [0, False, "", [], {"count": 3}, (1, 2)])
def test_a_small_plain_result_is_kept(result):
    assert json.loads(dump_result(result, limit=LIMIT)) == (list(result) if isinstance(result, tuple) else result)
