"""Orders to stop a run: found by who holds it, for the life that was meant."""

from __future__ import annotations

import pytest

from jobs.broker import stops
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.stops import StopOrder


def a_claim(run_id: str, *, life: int = 0, token: str = "t0") -> Claim:
    return Claim(run_id, "default", token, {"life": str(life)})


def test_an_order_is_found_by_the_token_of_whoever_holds_the_run():
    stops.order("r1", StopOrder(0, "ann", "wrong file"))
    claims = [a_claim("r0", token="t0"), a_claim("r1", token="t1")]
    assert stops.orders(claims) == {"t1": StopOrder(0, "ann", "wrong file")}


def test_an_order_for_an_earlier_life_says_nothing_of_this_one():
    stops.order("r1", StopOrder(0, "ann", ""))
    assert stops.orders([a_claim("r1", life=1)]) == {}


def test_an_order_is_forgotten_at_last():
    stops.order("r1", StopOrder(0, "ann", ""))
    assert 0 < client().ttl("jobs:stop:r1") <= 7 * 86_400


def test_nothing_held_asks_nothing():
    assert stops.orders([]) == {}


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[]", b"{}", b'{"life": "x", "actor": "a", "reason": ""}', b"[" * 9999]
)
def test_a_damaged_order_stops_nobody(text):
    client().set("jobs:stop:r1", text)
    assert stops.orders([a_claim("r1")]) == {}


def test_a_key_of_another_type_stops_nobody():
    client().rpush("jobs:stop:r1", "x")
    assert stops.orders([a_claim("r1")]) == {}
