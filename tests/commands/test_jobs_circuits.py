"""Operators look at circuits from a shell, and open and close them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from jobs import circuits
from jobs.circuits import Circuit, passing
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bank() -> Iterator[Circuit]:
    circuits.forget()
    yield Circuit("bank", failures=2)
    passing._defined.pop("bank")
    circuits.forget()


def told(*words: str) -> str:
    out = StringIO()
    call_command("jobs_circuits", *words, stdout=out)
    return out.getvalue()


def test_circuits_are_listed_as_they_are() -> None:
    assert "bank: closed, 0 of 2 failures in 60 s\n" in told()
    facts = {one["name"]: one for one in map(json.loads, told("list", "--json").splitlines())}
    assert (facts["bank"]["phase"], facts["bank"]["failures_to_open"]) == ("closed", 2)


def test_one_is_opened_and_closed_and_the_audit_says_by_whom() -> None:
    assert "until it is closed by hand: they move" in told("open", "bank", "--reason", "they move")
    assert circuits.status("bank").phase == "open"
    assert "bank: open, since" in told("open", "bank", "--for", "2h", "--reason", "they move")
    assert "bank: closed, since" in told("close", "bank", "--reason", "they are back")
    entries = AuditEntry.objects.order_by("pk").values_list("action", "reason")
    assert list(entries)[-1] == ("close circuit", "they are back")
    assert AuditEntry.objects.latest("pk").actor.startswith("jobs_circuits")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("open", "bnak", "--reason", "x"), 'Did you mean "bank"'),
        (("open", "bank", "--reason", " "), "Say why"),
        (("open", "bank", "--reason", "x", "--for", "0s"), "that is to come"),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(words: tuple[str, ...], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        told(*words)
    assert circuits.status("bank").phase == "closed"
    assert not AuditEntry.objects.exists()


def test_without_redis_nothing_is_done_or_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **facts: Any) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    monkeypatch.setattr("jobs.broker.circuits._step", refuse)
    with pytest.raises(CommandError, match="does not answer"):
        told("open", "bank", "--reason", "x")
    assert not AuditEntry.objects.exists()
