"""The script takes the steps that the policy decides."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import circuits
from jobs.broker import circuits as server
from jobs.broker import keys, lua
from jobs.broker.circuits import PROBE_LIFE_SECONDS
from jobs.broker.connection import client
from jobs.policy import circuit
from jobs.policy.circuit import Rules, State

RULES = Rules(failures=3, within=60, open_for=30)
LIFE = PROBE_LIFE_SECONDS
NAMES = count()
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "success", "failure", "failure", "back", "renew", "open", "close", "look"]),
        st.booleans(),
        st.sampled_from([0, 1, 10, 15, 30, 59, 60, 61]),
        st.sampled_from([-1, 0, 20]),
    ),
    max_size=25,
)


def on_server(what: str, name: str, now: int, token: str, hold: int) -> list[Any]:
    held = -1 if hold < 0 else hold * 1000
    if what == "open" and not held:
        held = -1
    arguments = server._arguments(what, name, RULES, token, now=str(now * 1000))
    return lua.run("circuit", [*arguments, held, "ann", "because"])


def in_policy(what: str, state: State, now: int, token: str, hold: int) -> tuple[State, str]:
    until = float("inf") if hold < 0 else now + hold
    match what:
        case "enter":
            return circuit.enter(state, token=token, now=now, probe_life=LIFE)
        case "success":
            return circuit.succeed(state, token=token, now=now), "go"
        case "failure":
            after = circuit.fail(
                state, token=token, now=now, failures=RULES.failures, within=RULES.within, open_for=RULES.open_for
            )
            return after, "go"
        case "back":
            return circuit.give_back(state, token=token, now=now), "go"
        case "renew":
            return circuit.renew(state, token=token, now=now, probe_life=LIFE), "go"
        case "open":
            return circuit.hold_open(state, now=now, until=until if hold else float("inf")), "go"
        case "close":
            return circuit.close(state, now=now, held_until=until if hold else None), "go"
    return state, "go"


@given(STEPS)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_server_takes_the_steps_that_the_policy_decides(steps):
    name, state, now = f"payments {next(NAMES)}", State(), 1000
    for number, (what, as_probe, later, hold) in enumerate(steps):
        now += later
        token = state.probe if as_probe and state.probe else f"call {number}"
        if what == "enter":
            token = f"call {number}"
        state, may = in_policy(what, state, now, token, hold)
        answer = on_server(what, name, now, token, hold)
        shown = circuit.released(state, now)
        assert answer[0].decode() == may
        assert answer[2].decode() == shown.phase
        assert answer[5].decode() == shown.probe
        assert bool(answer[7]) == shown.held
        if shown.phase != "closed" and not shown.held:
            assert answer[4] == shown.until * 1000
        if shown.phase == "closed" and not shown.held:
            assert answer[6] == len([at for at in shown.failures if at > now - RULES.within])
        if shown.since:
            assert answer[3] == shown.since * 1000


def test_what_a_person_holds_without_end_is_kept_without_end():
    for number in range(RULES.failures):
        server.fail("held", RULES, token=str(number))
    assert client().ttl("jobs:circuit:held") > 0
    server.hold_open("held", RULES, seconds=None, by="ann", reason="")
    assert client().ttl("jobs:circuit:held") == -1
    server.close("held", RULES, held_seconds=None, by="ann", reason="")
    assert client().ttl("jobs:circuit:held") > 0


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["since", "until", "held"])
def test_a_damaged_number_neither_holds_a_circuit_nor_hides_it(field):
    for damaged in ("nan", "inf", "-inf", "1e300", "x", "9" * 30):
        client().hset(
            "jobs:circuit:damaged", mapping={"phase": "open", "since": 1, "until": 1, "held": 0, field: damaged}
        )
        client().zadd(keys.CIRCUITS, {"damaged": 1, "no\tname": 1, b"\xff": 1})
        assert [one.phase for one in circuits.statuses() if one.name == "damaged"] == ["open"]
        assert server.enter("damaged", RULES, token="mine").may == "probe"
