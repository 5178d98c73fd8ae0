"""Blocks that go through a circuit: what opens it, who is the probe, and what each process knows."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from jobs import CircuitOpen, JobStopped, circuits, renewals
from jobs.broker import circuits as server
from jobs.broker.connection import client
from jobs.circuits import Circuit, circuit, knowing, passing
from jobs.errors import BadOptions, BrokerUnavailable
from jobs.signals import circuit_changed

pytestmark = pytest.mark.usefixtures("empty_broker")


class Declined(Exception):
    pass


def fail(one: Circuit, error: BaseException | None = None, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises((Exception, JobStopped)), one:
            raise error or ConnectionError("down")


def phase(one: Circuit) -> str:
    return circuits.status(one.name).phase


def as_another_process() -> None:
    """Forget what this process has heard, as one that has heard nothing."""
    circuits.forget()


def pass_time(one: Circuit, seconds: float) -> None:
    """Let the server believe that so much time has passed."""
    key = f"jobs:circuit:{one.name}"
    for field in ("since", "until", "held"):
        moment = int(client().hget(key, field) or 0)
        if moment > 0:
            client().hset(key, field, int(moment - seconds * 1000))
    failures = f"jobs:circuitfailures:{one.name}"
    for member, score in client().zrange(failures, 0, -1, withscores=True):
        client().zadd(failures, {member: score - seconds * 1000})
    circuits.forget()


@pytest.fixture
def partner(make_circuit: Callable[..., Circuit]) -> Circuit:
    return make_circuit(failures=3, within=60, open_for=30, ignores=Declined)


@pytest.fixture
def open_partner(partner: Circuit) -> Circuit:
    fail(partner, times=3)
    return partner


def test_it_opens_after_five_failures_when_nothing_is_declared():
    plain = circuit("a partner of no definition")
    fail(plain, times=4)
    assert phase(plain) == "closed"
    fail(plain)
    assert phase(plain) == "open"
    with pytest.raises(CircuitOpen, match="circuit a partner of no definition is open"), plain:
        pytest.fail("it was entered")


def test_an_open_circuit_is_open_for_every_process(open_partner):
    as_another_process()
    with pytest.raises(CircuitOpen) as refused, open_partner:
        pytest.fail("it was entered")
    assert refused.value.name == open_partner.name
    assert 25 < refused.value.seconds <= 30


def test_failures_that_lie_further_back_than_the_window_do_not_count(partner):
    fail(partner, times=2)
    pass_time(partner, 61)
    fail(partner, times=2)
    assert phase(partner) == "closed"
    assert circuits.status(partner.name).failures == 2


def test_an_answer_that_is_no_failure_never_opens_it(partner):
    fail(partner, Declined(), times=10)
    fail(partner, ValueError("our own fault"), times=10)
    assert (phase(partner), circuits.status(partner.name).failures) == ("closed", 0)


def test_one_probe_is_let_through_and_its_success_closes(open_partner):
    pass_time(open_partner, 30)
    with open_partner:
        assert phase(open_partner) == "half-open"
        as_another_process()
        others = []
        for _ in range(3):
            other = threading.Thread(target=lambda: others.append(entered_by_another(open_partner)))
            other.start()
            other.join()
        assert others == [False, False, False]
    assert phase(open_partner) == "closed"
    with open_partner:
        pass


def entered_by_another(one: Circuit) -> bool:
    try:
        with one:
            return True
    except CircuitOpen:
        return False


def test_the_probes_failure_opens_it_for_as_long_again(open_partner):
    pass_time(open_partner, 30)
    fail(open_partner)
    assert phase(open_partner) == "open"
    with pytest.raises(CircuitOpen), open_partner:
        pass


def test_an_answer_that_says_no_to_the_probe_closes_it(open_partner):
    pass_time(open_partner, 30)
    fail(open_partner, Declined())
    assert phase(open_partner) == "closed"


@pytest.mark.parametrize("error", [ValueError("our own fault"), JobStopped()], ids=type)
def test_a_probe_that_says_nothing_makes_room_for_the_next(open_partner, error):
    pass_time(open_partner, 30)
    fail(open_partner, error)
    assert phase(open_partner) == "half-open"
    as_another_process()
    with open_partner:
        pass
    assert phase(open_partner) == "closed"


def test_a_probe_whose_process_was_killed_is_followed_by_another(open_partner):
    pass_time(open_partner, 30)
    assert server.enter(open_partner.name, open_partner.rules, token="killed").may == "probe"
    as_another_process()
    with pytest.raises(CircuitOpen), open_partner:
        pass
    pass_time(open_partner, server.PROBE_LIFE_SECONDS)
    with open_partner:
        pass
    assert phase(open_partner) == "closed"


def test_a_probe_that_takes_long_stays_the_only_one(open_partner, monkeypatch):
    monkeypatch.setattr("jobs.circuits.passing._RENEW_SECONDS", 0.01)
    pass_time(open_partner, 30)
    with open_partner:
        pass_time(open_partner, server.PROBE_LIFE_SECONDS - 1)
        shortened = circuits.status(open_partner.name)
        wait_until(lambda: until(open_partner) > 10)
        assert shortened.has_probe
    assert phase(open_partner) == "closed"


def until(one: Circuit) -> float:
    """How long the probe lives on, unless it is renewed."""
    seen = server.look([one.name], [one.rules])[0]
    return seen.until - seen.now


def wait_until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_a_probe_that_was_never_given_back_is_not_kept_alive(open_partner):
    pass_time(open_partner, 30)
    passage = circuits.through(open_partner)
    passage.__enter__()
    assert len(renewals._renewals._held) == 1
    passing._entered.set(())
    del passage
    gc.collect()
    assert len(renewals._renewals._held) == 0


def test_a_probe_that_enters_the_same_circuit_again_does_not_wait_for_itself(open_partner):
    pass_time(open_partner, 30)
    with circuit(open_partner.name), open_partner, open_partner:
        pass
    assert phase(open_partner) == "closed"


def test_an_inner_block_of_the_probe_that_fails_opens_it_though_the_error_is_handled(open_partner):
    pass_time(open_partner, 30)
    with open_partner:
        fail(open_partner)
        assert phase(open_partner) == "open"
    assert phase(open_partner) == "open"


def test_an_error_that_passes_through_two_blocks_is_one_failure(partner):
    def wrapped() -> None:
        try:
            with partner:
                raise ConnectionError("down")
        except ConnectionError as error:
            raise RuntimeError("the charge failed") from error

    with pytest.raises(RuntimeError), partner:
        wrapped()
    assert circuits.status(partner.name).failures == 1


def test_a_closed_circuit_is_asked_for_once_a_second(partner, monkeypatch):
    asked: list[int] = []
    enter = server.enter
    monkeypatch.setattr(server, "enter", lambda *args, **facts: asked.append(1) or enter(*args, **facts))
    for _ in range(100):
        with partner:
            pass
    assert 1 <= len(asked) <= 3


def test_what_others_did_is_noticed_within_a_second(partner, monkeypatch):
    monkeypatch.setattr(knowing, "_FRESH_SECONDS", 0.05)
    with partner:
        pass
    for _ in range(3):
        server.fail(partner.name, partner.rules, token=os.urandom(4).hex())
    wait_until(lambda: not entered_by_another(partner))


def test_who_comes_while_the_probe_is_under_way_waits_shortly(open_partner):
    pass_time(open_partner, 30)
    assert server.enter(open_partner.name, open_partner.rules, token="another").may == "probe"
    as_another_process()
    for _ in range(2):
        with pytest.raises(CircuitOpen) as refused, open_partner:
            pass
        assert refused.value.seconds == 5


def test_an_open_circuit_is_not_asked_for_by_each_call(open_partner, monkeypatch):
    monkeypatch.setattr(server, "enter", lambda *args, **kwargs: pytest.fail("asked"))
    for _ in range(100):
        with pytest.raises(CircuitOpen), open_partner:
            pass


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Redis does not answer; the list says what was asked."""
    asked: list[str] = []

    def refuse(name: str, *args: Any) -> None:
        asked.append(name)
        raise BrokerUnavailable("Redis does not answer.")

    monkeypatch.setattr("jobs.broker.circuits.lua.run", refuse)
    return asked


def test_calls_go_through_while_redis_cannot_answer_and_that_is_logged_once(partner, away, caplog):
    went = 0
    for _ in range(50):
        with partner:
            went += 1
    assert went == 50
    assert len(away) <= 3
    fail(partner, times=10)
    assert len([one for one in caplog.records if "calls go through" in one.getMessage()]) == 1
    with partner:
        went += 1
    assert went == 51


def test_a_failure_that_nobody_heard_of_hides_no_error(partner, away):
    with pytest.raises(ConnectionError, match="down"), partner:
        raise ConnectionError("down")


def test_a_key_in_use_for_something_else_lets_calls_through(partner):
    client().set(f"jobs:circuit:{partner.name}", "something else")
    with partner:
        pass


def test_changes_are_told_where_they_happen(partner):
    told: list[tuple[str, str, str]] = []

    def hear(sender: str, before: str, after: str, **rest: object) -> None:
        told.append((sender, before, after))

    circuit_changed.connect(hear)
    try:
        fail(partner, times=3)
        pass_time(partner, 30)
        with partner:
            pass
    finally:
        circuit_changed.disconnect(hear)
    assert told == [
        (partner.name, "closed", "open"),
        (partner.name, "open", "half-open"),
        (partner.name, "half-open", "closed"),
    ]


def test_one_name_has_one_definition(make_circuit):
    first = make_circuit("a bank", failures=3)
    assert make_circuit("a bank", failures=3).rules == first.rules
    assert circuit("a bank") is first
    with pytest.raises(BadOptions, match="defined twice"):
        Circuit("a bank", failures=4)


def test_a_name_that_is_used_before_it_is_defined_is_not_defined_by_that(make_circuit):
    with circuit("a shipper"):
        pass
    assert make_circuit("a shipper", failures=2).rules.failures == 2
    assert circuit("a shipper").rules.failures == 2


def test_it_goes_with_async_code(partner):
    async def call() -> None:
        with partner:
            await asyncio.sleep(0)
            raise ConnectionError("down")

    async def many() -> None:
        await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)

    asyncio.run(many())
    assert phase(partner) == "open"


def test_what_is_left_of_a_circuit_ends_by_itself(open_partner):
    assert 0 < client().ttl(f"jobs:circuit:{open_partner.name}") <= 7 * 86_400
    assert client().exists(f"jobs:circuitfailures:{open_partner.name}") == 0
