"""Which dead jobs a rule may revive, and how many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.recovering import Rule, Try, budget, is_transient

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "error_class",
    [
        *("TimeoutError", "ConnectionError", "ConnectionRefusedError", "builtins.ConnectionResetError"),
        *("socket.timeout.Timeout", "urllib3.exceptions.MaxRetryError", "urllib3.exceptions.NewConnectionError"),
        *("requests.exceptions.ReadTimeout", "httpx.ConnectError", "httpx.RemoteProtocolError"),
        *("jobs.errors.JobTimedOut", "jobs.errors.CircuitOpen", "aiohttp.ServerDisconnectedError"),
    ],
)
def test_who_could_not_be_reached_may_answer_later(error_class: str) -> None:
    assert is_transient(error_class)


@pytest.mark.parametrize("error_class", ["", "ValueError", "shop.CardDeclined", "KeyError", "connection.BadAddress"])
def test_other_errors_are_left_to_people(error_class: str) -> None:
    assert not is_transient(error_class)


@pytest.mark.parametrize(
    ("rule", "name", "error_class", "covered"),
    [
        (Rule(), "orders.charge", "TimeoutError", True),
        (Rule(), "orders.charge", "ValueError", False),
        (Rule("orders.*"), "orders.charge", "TimeoutError", True),
        (Rule("orders.*"), "mails.send", "TimeoutError", False),
        (Rule(errors=("GatewayDown",)), "orders.charge", "shop.GatewayDown", True),
        (Rule(errors=("shop.GatewayDown",)), "orders.charge", "shop.GatewayDown", True),
        (Rule(errors=("GatewayDown",)), "orders.charge", "TimeoutError", False),
    ],
)
def test_what_a_rule_covers(rule: Rule, name: str, error_class: str, covered: bool) -> None:
    assert rule.covers(name, error_class) is covered


@pytest.mark.parametrize(
    ("tries", "may"),
    [
        ([], 500),
        ([Try(NOW - MINUTE, 5, stopped=False, is_open=True)], 0),
        ([Try(NOW - 10 * MINUTE, 200, stopped=False)], 300),
        ([Try(NOW - 10 * MINUTE, 500, stopped=False)], 0),
        ([Try(NOW - 61 * MINUTE, 500, stopped=False)], 500),
        # A try that stopped: ten minutes after the first, twenty after the second, an hour at the most.
        ([Try(NOW - 9 * MINUTE, 5, stopped=True)], 0),
        ([Try(NOW - 10 * MINUTE, 5, stopped=True)], 495),
        ([Try(NOW - 19 * MINUTE, 5, stopped=True), Try(NOW - 30 * MINUTE, 5, stopped=True)], 0),
        ([Try(NOW - 20 * MINUTE, 5, stopped=True), Try(NOW - 40 * MINUTE, 5, stopped=True)], 490),
        ([Try(NOW - 59 * MINUTE, 5, stopped=True)] + [Try(NOW - 200 * MINUTE, 5, stopped=True)] * 9, 0),
        ([Try(NOW - 60 * MINUTE, 5, stopped=True)] + [Try(NOW - 200 * MINUTE, 5, stopped=True)] * 9, 500),
        ([Try(NOW - 11 * MINUTE, 5, stopped=True), Try(NOW - 90 * MINUTE, 5, stopped=False)], 495),
    ],
)
def test_how_many_may_be_revived_now(tries: list[Try], may: int) -> None:
    assert budget(Rule(per_hour=500, rest=5 * MINUTE), tries, now=NOW) == may


made = st.builds(
    Try, st.integers(0, 7200).map(lambda ago: NOW - timedelta(seconds=ago)), st.integers(0, 400), st.booleans()
)


@settings(max_examples=60, deadline=None)
@given(st.lists(made, max_size=12), st.integers(1, 1000))
def test_never_more_than_so_many_an_hour(tries: list[Try], per_hour: int) -> None:
    tries.sort(key=lambda one: one.asked_at, reverse=True)
    may = budget(Rule(per_hour=per_hour), tries, now=NOW)
    lately = sum(one.revived for one in tries if NOW - one.asked_at < timedelta(hours=1))
    assert 0 <= may <= per_hour
    assert may == 0 or may + lately <= per_hour
