"""The claim script and `policy.fusing` agree on which runs a fuse catches."""

from __future__ import annotations

import inspect
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.broker import epoch, keys
from jobs.broker import fuses as copies
from jobs.broker.connection import client
from jobs.broker.parcels import data_of
from jobs.policy import fusing
from jobs.testing.servers import empty_valkey
from tests.engine import claim

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-10, 10, allow_nan=False).map(lambda number: number or 0.0),
    st.text(max_size=4).filter(lambda text: "\0" not in text and text.encode(errors="ignore").decode() == text),
    st.sampled_from(["1", "null", "true", '"', "\\u0041", "é", "😀"]),
)
ANYTHING = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)
)


def signature(defaults: tuple[Any, ...]) -> inspect.Signature:
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ("left", "right", "items")
    given = [inspect.Parameter.empty] * (3 - len(defaults)) + list(defaults)
    return inspect.Signature(
        [inspect.Parameter(name, kinds, default=default) for name, default in zip(names, given, strict=True)]
    )


@settings(max_examples=60, deadline=None)
@given(
    where=st.dictionaries(st.sampled_from(["left", "right", "items"]), SCALARS, max_size=2),
    defaults=st.lists(SCALARS, max_size=3).map(tuple),
    args=st.lists(ANYTHING, max_size=3),
    kwargs=st.dictionaries(st.sampled_from(["right", "items", "other"]), ANYTHING, max_size=2),
    equal=st.booleans(),
)
def test_the_script_catches_what_the_policy_says(where, defaults, args, kwargs, equal):
    if equal and where and args:
        # Else two values are hardly ever the same.
        args[0] = where.setdefault("left", 1)
    conditions = fusing.conditions(signature(defaults), where, job="shop.charge")
    empty_valkey()
    epoch.begin("tests")
    epoch.accept("tests")
    entry = copies.entry("shop.charge", conditions, action="hold", per_second=0, expires_ms=int(9e15))
    copies.publish({1: entry})
    data = data_of("shop.charge", json.dumps([args, kwargs]))
    client().hset(keys.job("an-id"), mapping={"data": data, "life": 0, "attempts": 0, "status": "queued"})
    client().rpush(keys.queue("default"), "an-id")
    assert (claim() == []) is fusing.matches(conditions, args, kwargs)
