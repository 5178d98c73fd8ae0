"""When a circuit opens, who may probe it, when it closes, and which errors are failures of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import OperationalError
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import CircuitOpen, DiscardJob, HandBackJob, JobStopped, JobTimedOut, PutOffJob, RetryLater
from jobs.errors import BadOptions, BrokerUnavailable, EffectInDoubt
from jobs.policy import circuit
from jobs.policy.circuit import Rules, State, check_name, close, enter, fail, give_back, hold_open, renew, succeed

FAILURES, WITHIN, OPEN_FOR, PROBE_LIFE = 3, 60, 30, 15


def failed(state: State, now: float, token: str = "t") -> State:
    return fail(state, token=token, now=now, failures=FAILURES, within=WITHIN, open_for=OPEN_FOR)


def entered(state: State, now: float, token: str = "t") -> tuple[State, str]:
    return enter(state, token=token, now=now, probe_life=PROBE_LIFE)


def opened(at: float = 2.0) -> State:
    state = State()
    for moment in range(FAILURES):
        state = failed(state, at - FAILURES + 1 + moment)
    return state


def probing(at: float = 40.0) -> State:
    return entered(opened(), at, "probe")[0]


def test_it_opens_at_the_last_failure_of_the_window_and_not_before():
    state = failed(failed(State(), 0), 1)
    assert state.phase == "closed"
    assert failed(state, 2).phase == "open"
    assert failed(state, 59).phase == "open"
    assert failed(state, 60).phase == "closed"


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        (State(), 0, "go"),
        (failed(State(), 0), 1, "go"),
        (opened(), 2, "wait"),
        (opened(), 31, "wait"),
        (opened(), 32, "probe"),
        (opened(), 9999, "probe"),
        (probing(), 40, "wait"),
        (probing(), 54, "wait"),
        (probing(), 55, "probe"),
        (hold_open(State(), now=0), 9999, "wait"),
        (hold_open(State(), now=0, until=50), 49, "wait"),
        (hold_open(State(), now=0, until=50), 50, "probe"),
        (close(opened(), now=5), 5, "go"),
        (close(opened(), now=5, held_until=9), 9999, "go"),
    ],
)
def test_who_may_go_through(state, now, expected):
    assert entered(state, now)[1] == expected


def test_the_probes_success_closes_and_its_failure_opens_for_as_long_again():
    assert succeed(probing(), token="probe", now=41) == State(since=41)
    assert failed(probing(), 41, "probe") == State("open", since=41, until=71)


def test_only_the_probe_decides():
    assert succeed(probing(), token="other", now=41) == probing()
    assert failed(probing(), 41, "other") == probing()
    assert succeed(opened(), token="t", now=5) == opened()
    assert failed(opened(), 5) == opened()


def test_a_probe_that_died_is_followed_by_another_whose_word_counts():
    state, admission = entered(probing(), 55, "second")
    assert admission == "probe"
    assert succeed(state, token="probe", now=56) == state
    assert succeed(state, token="second", now=56).phase == "closed"


def test_a_probe_that_lives_is_waited_for():
    state = renew(probing(), token="probe", now=50, probe_life=PROBE_LIFE)
    assert entered(state, 64)[1] == "wait"
    assert entered(state, 65)[1] == "probe"


def test_a_probe_that_can_say_nothing_makes_room_for_the_next_one():
    assert entered(give_back(probing(), token="probe", now=41), 41)[1] == "probe"


def test_a_circuit_that_is_held_closed_counts_no_failure_and_none_of_then_later():
    state = close(State(), now=0, held_until=100)
    for moment in range(99):
        state = failed(state, moment)
    assert state.phase == "closed"
    assert failed(failed(state, 100), 101).phase == "closed"


def test_closing_by_hand_forgets_the_failures():
    state = close(failed(failed(State(), 0), 1), now=2)
    assert failed(state, 3).phase == "closed"


def test_what_was_opened_by_hand_is_not_closed_by_a_late_probe():
    assert succeed(hold_open(probing(), now=41), token="probe", now=42).phase == "open"


# What may happen to a circuit, one thing after the other, each some time after the last.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "success", "failure", "back", "renew", "hold open", "close", "hold closed"]),
        st.integers(0, 4),
        st.integers(0, 45),
    ),
    max_size=40,
)


class Model:
    """A circuit and its callers: each is named by a number, and a token of its own for each call."""

    def __init__(self) -> None:
        self.state = State()
        self.now = 0
        self.probes: dict[int, str] = {}
        self.calls = 0

    def take(self, what: str, caller: int, later: int) -> str | None:
        self.now += later
        token = self.probes.get(caller) or self.fresh()
        if what == "enter":
            self.state, admission = entered(self.state, self.now, self.fresh())
            if admission == "probe":
                self.probes[caller] = self.state.probe
            return admission
        self.state = self.after(what, token)
        if what != "renew":
            self.probes.pop(caller, None)
        return None

    def after(self, what: str, token: str) -> State:
        match what:
            case "success":
                return succeed(self.state, token=token, now=self.now)
            case "failure":
                return failed(self.state, self.now, token)
            case "back":
                return give_back(self.state, token=token, now=self.now)
            case "renew":
                return renew(self.state, token=token, now=self.now, probe_life=PROBE_LIFE)
            case "hold open":
                return hold_open(self.state, now=self.now, until=self.now + 20)
            case "close":
                return close(self.state, now=self.now)
            case _:
                return close(self.state, now=self.now, held_until=self.now + 20)

    def fresh(self) -> str:
        self.calls += 1
        return f"call {self.calls}"


@given(STEPS)
@settings(max_examples=150)
def test_never_two_probes_while_the_first_lives(steps):
    model = Model()
    lives_until = -1
    for what, caller, later in steps:
        probe = model.state.probe
        admission = model.take(what, caller, later)
        if admission == "probe":
            assert model.now >= lives_until
        if model.state.phase != "half-open":
            lives_until = -1
        elif admission == "probe" or (what == "renew" and model.state.until != lives_until):
            lives_until = model.state.until
        elif probe and not model.state.probe:
            lives_until = -1


@given(STEPS)
@settings(max_examples=100)
def test_nothing_goes_through_an_open_circuit_and_it_is_open_no_longer_than_told(steps):
    model = Model()
    for step in steps:
        before = circuit.released(model.state, model.now + step[2])
        admission = model.take(*step)
        if admission == "go":
            assert before.phase == "closed"
        if admission == "wait":
            assert before.phase != "closed"
    state = model.state
    horizon = model.now + max(OPEN_FOR, PROBE_LIFE, 20)
    assert entered(state, horizon)[1] in ("go", "probe")


@given(STEPS)
@settings(max_examples=100)
def test_a_probe_that_succeeds_closes_whatever_happened_before(steps):
    model = Model()
    for step in steps:
        model.take(*step)
    later = model.now + 1000
    state, admission = entered(model.state, later, "last")
    if admission == "probe":
        state = succeed(state, token="last", now=later)
    assert entered(state, later, "next")[1] == "go"


@given(st.lists(st.integers(31, 200), max_size=30))
def test_failures_that_are_too_far_apart_never_open_it(gaps):
    state, now = State(), 0
    for gap in gaps:
        now += gap
        state = failed(state, now)
        assert state.phase == "closed"
        assert all(at > now - WITHIN for at in state.failures)


class Declined(Exception):
    pass


class PartnerAnsweredNonsense(OSError, json.JSONDecodeError):
    def __init__(self) -> None:
        json.JSONDecodeError.__init__(self, "no", "", 0)


class Busy(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionError(), "failure"),
        (TimeoutError(), "failure"),
        (JobTimedOut(), "failure"),
        (Busy(), "failure"),
        (RuntimeError(), "failure"),
        (PartnerAnsweredNonsense(), "failure"),
        (FileNotFoundError(), "nothing"),
        (TypeError(), "nothing"),
        (KeyError(), "nothing"),
        (ValueError(), "nothing"),
        (AssertionError(), "nothing"),
        (ObjectDoesNotExist(), "nothing"),
        (ValidationError("no"), "nothing"),
        (OperationalError(), "nothing"),
        (DiscardJob(), "nothing"),
        (RetryLater(1), "nothing"),
        (PutOffJob(1), "nothing"),
        (CircuitOpen("other", 1), "nothing"),
        (HandBackJob(), "nothing"),
        (BrokerUnavailable(), "nothing"),
        (EffectInDoubt(), "nothing"),
        (JobStopped(), "nothing"),
        (SystemExit(), "nothing"),
        (KeyboardInterrupt(), "nothing"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_which_errors_are_failures_when_nothing_is_declared(error, says):
    assert Rules().says(error) == says


@pytest.mark.parametrize(
    ("rules", "error", "says"),
    [
        (Rules(ignores=(Declined,)), Declined(), "answer"),
        (Rules(ignores=(Declined,)), Busy(), "failure"),
        (Rules(counts=(Busy,)), Busy(), "failure"),
        (Rules(counts=(Busy,)), ConnectionError(), "nothing"),
        (Rules(counts=(RetryLater,)), RetryLater(1), "failure"),
        (Rules(counts=(OSError,), ignores=(TimeoutError,)), TimeoutError(), "answer"),
        (Rules(counts=(OSError,), ignores=(TimeoutError,)), ConnectionError(), "failure"),
    ],
)
def test_which_errors_count_is_declared(rules, error, says):
    assert rules.says(error) == says


NO_NUMBERS: list[Any] = [0, -1, True, "5", None]


@pytest.mark.parametrize(
    "given",
    [
        *({"failures": number} for number in [*NO_NUMBERS, 1001, 2.5]),
        *({"within": number} for number in [*NO_NUMBERS, float("inf"), float("nan")]),
        *({"open_for": number} for number in NO_NUMBERS),
        {"counts": ()},
        {"counts": (5,)},
        {"counts": ConnectionError},
        {"ignores": ("ConnectionError",)},
    ],
    ids=str,
)
def test_rules_that_cannot_be_are_refused(given):
    with pytest.raises(BadOptions):
        Rules(**given)


@pytest.mark.parametrize("name", ["", " payments", "x" * 201, "a\nb", 5, None])
def test_a_name_is_a_short_printable_text(name):
    with pytest.raises(BadOptions, match="printable text"):
        check_name(name)


def test_runs_wait_until_it_may_be_tried_and_never_ask_all_the_time():
    assert Rules(open_for=30).put_off_seconds(20) == 20
    assert Rules(open_for=30).put_off_seconds(0.2) == 5
