"""People see circuits and locks as they are, open and close circuits, and release locks from whom they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import at_once, circuits, locks, per_window
from jobs.broker import locks as server
from jobs.broker.connection import client as redis
from jobs.broker.locks import Holder
from jobs.circuits import Circuit, passing
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry
from tests import engine
from tests.admin.test_dead_jobs import told
from tests.engine import make_job

__all__ = ["make_job"]

LIST = reverse("admin:jobs_circuitsandlocks_changelist")
OPEN = reverse("admin:jobs_circuitsandlocks_circuit", args=["open"])
CLOSE = reverse("admin:jobs_circuitsandlocks_circuit", args=["close"])
RELEASE = reverse("admin:jobs_circuitsandlocks_release")
NAME = "the <b>bank</b> & co"


@pytest.fixture
def bank() -> Iterator[Circuit]:
    circuits.forget()
    yield Circuit(NAME, failures=2)
    passing._defined.pop(NAME)
    circuits.forget()


@pytest.fixture
def held() -> str:
    """A lock that another process holds, by its token."""
    server.acquire("order:42", token="cafe", life_seconds=30, holder=Holder("elsewhere", 7))
    return "cafe"


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    monkeypatch.setattr("jobs.broker.circuits.names", refuse)
    monkeypatch.setattr("jobs.broker.locks.listed", refuse)


def silent() -> None:
    """Let the lock's holder be one that has not renewed it for long."""
    renewed = int(redis().hget("jobs:lock:order:42", "renewed"))
    redis().hset("jobs:lock:order:42", "renewed", renewed - 60_000)


def text_of(client: Client, address: str = LIST) -> str:
    content = client.get(address).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", content.partition("<main")[2]).split())


def test_the_page_shows_circuits_and_locks_as_they_are(
    bank: Circuit, held: str, viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    circuits.force_open(NAME, actor="ann", reason="they <i>move</i>")
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    shown = text_of(viewer)
    assert "the &lt;b&gt;bank&lt;/b&gt; &amp; co" in shown
    assert "✕ open held by ann until it is closed by hand: they &lt;i&gt;move&lt;/i&gt;" in shown
    assert "order:42 process 7 on elsewhere" in shown
    assert "Open…" not in shown
    assert "Release…" not in shown


def test_a_circuit_that_decides_itself_shows_its_failures_and_its_next_probe(bank: Circuit, viewer: Client) -> None:
    for words in ("✓ closed", "1 of 2 in 60 s"), ("✕ open", "in 29 s"):
        with pytest.raises(ConnectionError), bank:
            raise ConnectionError
        shown = text_of(viewer).replace("in 30 s", "in 29 s")
        assert all(word in shown for word in words), shown


def test_looking_changes_nothing_and_asks_little(
    bank: Circuit, held: str, viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        server.acquire(f"order:{number}", token="cafe", life_seconds=30, holder=Holder("elsewhere", 7))
    before = {key: redis().dump(key) for key in redis().keys("jobs:*")}
    with django_assert_max_num_queries(6):
        viewer.get(LIST)
    assert {key: redis().dump(key) for key in redis().keys("jobs:*")} == before


def test_nothing_is_said_where_nothing_is(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.circuits.operating.local_names", list)
    assert "No circuit has been used; no lock is held." in text_of(viewer)


@pytest.mark.usefixtures("down")
def test_without_redis_the_page_says_so_and_offers_nothing(bank: Circuit, operator: Client) -> None:
    shown = text_of(operator)
    assert "Redis does not answer: unknown. Circuits let calls through meanwhile" in shown
    assert "co unknown" in shown
    assert "Open…" not in shown
    assert operator.get(f"{OPEN}?circuit=x").status_code == 503
    assert operator.post(RELEASE, {"lock": "order:42", "token": "cafe", "reason": "x"}).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_limits_in_use_are_shown_with_how_many_lanes_wait(
    make_job: Callable[..., Any], viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    assert "at once" not in text_of(viewer)
    some = make_job(lambda: None, "tests.some", limits=[at_once(2, name="<i>crm</i>")])
    hourly = make_job(lambda: None, "tests.hourly", limits=[per_window(1, seconds=3600)])
    each = make_job(lambda customer: None, "tests.each", limits=[at_once(1, key="customer")])
    for job, *args in ((some,), (some,), (hourly,), *((each, "a secret"),) * 2):
        job.enqueue(*args)
    assert len(engine.claim(10)) == 4
    before = {key: redis().dump(key) for key in redis().keys("*")}
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    shown = text_of(viewer)
    assert "&lt;i&gt;crm&lt;/i&gt; 2 at once 2 of 2 0 tests.some: running , waiting" in shown
    assert "tests.hourly 1 per 3600 s 1 of 1 0 tests.hourly: running , waiting" in shown
    assert "tests.each[customer] 1 at once for each customer each by its own 1 tests.each: running , waiting" in shown
    assert "secret" not in shown
    assert {key: redis().dump(key) for key in redis().keys("*")} == before


def test_a_stranger_sees_nothing(stranger: Client) -> None:
    assert stranger.get(LIST).status_code == 403


def test_an_operator_opens_and_closes_a_circuit(bank: Circuit, operator: Client) -> None:
    assert operator.get(OPEN, {"circuit": NAME}).status_code == 200
    assert circuits.status(NAME).phase == "closed"
    answer = operator.post(OPEN, {"circuit": NAME, "reason": "they move", "minutes": "30"})
    assert told(answer) == ["The circuit is open. Processes hear of it within a second."]
    status = circuits.status(NAME)
    assert (status.phase, status.reason) == ("open", "they move")
    assert status.held_until is not None
    assert timedelta(minutes=29) < status.held_until - timezone.now() < timedelta(minutes=31)
    operator.post(CLOSE, {"circuit": NAME, "reason": "they are back"})
    assert (circuits.status(NAME).phase, circuits.status(NAME).held_by) == ("closed", "")
    entries = AuditEntry.objects.order_by("pk").values_list("action", "target", "reason", "outcome")
    assert list(entries) == [
        ("open circuit", NAME, "they move", "done"),
        ("close circuit", NAME, "they are back", "done"),
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": "  "}, "Write down why"),
        ({"reason": "why", "minutes": "soon"}, "soon is no number of minutes"),
        ({"reason": "why", "minutes": "0"}, "0 is no number of minutes"),
        ({"reason": "why", "minutes": "99999999999999999999"}, "is no number of minutes"),
    ],
)
def test_a_form_that_says_too_little_is_asked_again(
    bank: Circuit, operator: Client, fields: dict[str, str], words: str
) -> None:
    answer = operator.post(OPEN, {"circuit": NAME, **fields})
    assert words in answer.content.decode()
    assert circuits.status(NAME).phase == "closed"
    assert not AuditEntry.objects.exists()


def test_a_circuit_that_there_is_not_is_not_made_by_a_form(operator: Client) -> None:
    assert operator.post(OPEN, {"circuit": "a typing error", "reason": "x"}).status_code == 404
    assert operator.get(reverse("admin:jobs_circuitsandlocks_circuit", args=["burn"])).status_code == 404


def test_a_silent_holders_lock_is_released(held: str, operator: Client) -> None:
    silent()
    assert "its holder is silent" in text_of(operator)
    assert "Its holder is silent." in operator.get(RELEASE, {"lock": "order:42", "token": held}).content.decode()
    operator.post(RELEASE, {"lock": "order:42", "token": held, "reason": "its host is gone"})
    assert locks.held() == []
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("release lock", "order:42", "its host is gone")


def test_a_living_holders_lock_is_released_only_with_force(held: str, operator: Client) -> None:
    assert "Its holder is alive" in operator.get(RELEASE, {"lock": "order:42", "token": held}).content.decode()
    answer = operator.post(RELEASE, {"lock": "order:42", "token": held, "reason": "x"})
    assert "who renewed it" in told(answer)[0]
    assert len(locks.held()) == 1
    assert not AuditEntry.objects.exists()
    operator.post(RELEASE, {"lock": "order:42", "token": held, "reason": "x", "force": "1"})
    assert locks.held() == []
    assert AuditEntry.objects.get().after == {"though_alive": True}


def test_a_later_holder_is_left_alone(held: str, operator: Client) -> None:
    server.release("order:42", token=held)
    server.acquire("order:42", token="beef", life_seconds=30, holder=Holder("elsewhere", 8))
    answer = operator.post(RELEASE, {"lock": "order:42", "token": held, "reason": "x", "force": "1"})
    assert "is not held by that holder any more" in answer.content.decode()
    assert [one.token for one in locks.held()] == ["beef"]


def test_a_viewer_is_refused_and_that_is_recorded(bank: Circuit, held: str, viewer: Client) -> None:
    for address, fields in [
        (OPEN, {"circuit": NAME, "reason": "x"}),
        (CLOSE, {"circuit": NAME, "reason": "x"}),
        (RELEASE, {"lock": "order:42", "token": held, "reason": "x", "force": "1"}),
    ]:
        assert viewer.get(address, fields).status_code == 403
        assert viewer.post(address, fields).status_code == 403
    assert circuits.status(NAME).phase == "closed"
    assert len(locks.held()) == 1
    entries = AuditEntry.objects.order_by("pk").values_list("action", "target", "outcome")
    assert list(entries) == [
        ("open circuit", NAME, "refused"),
        ("close circuit", NAME, "refused"),
        ("release lock", "order:42", "refused"),
    ]
