"""`jobs_fuses`: the verbs of the console, from a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import fuses
from jobs.broker import fuses as copies
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, Fuse
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs_fuses", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value


def test_without_a_verb_it_lists() -> None:
    assert run() == run("list") == "There is no fuse.\n"


def test_it_adds_a_fuse_and_says_what_it_catches() -> None:
    sample.add.enqueue_many([(1, 2), (1, 3), (2, 2)])
    printed = run("add", "tests.sample.add", "--where", "left=1", "--for", "30m", "--reason", "it loops")
    fuse = Fuse.objects.get()
    assert "2 waiting runs match: 2 in default." in printed
    assert f"{fuse.pk}  hold  tests.sample.add left=1" in printed
    assert (fuse.where, fuse.reason, (fuse.expires_at - fuse.created_at).seconds) == ({"left": 1}, "it loops", 1800)
    assert AuditEntry.objects.get().actor.startswith("jobs_fuses")
    assert f"{fuse.pk}  hold  tests.sample.add left=1  until " in run("list")
    assert ", 0 caught  by jobs_fuses" in run("list")


def test_a_dry_run_adds_none() -> None:
    sample.add.enqueue(1, 2)
    assert run("add", "tests.sample.add", "--dry-run") == "1 waiting run matches: 1 in default.\n"
    assert not Fuse.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (["add", "tests.sample.add"], 2, "Say why"),
        (["add", "tests.sample.ad", "--reason", "x"], 2, "Did you mean"),
        (["add", "tests.sample.add", "--action", "slow", "--reason", "x"], 2, "needs a rate"),
        (["add", "tests.sample.add", "--where", "middle=1", "--reason", "x"], 2, "has no argument"),
        (["lift", "4711"], 2, "There is no fuse 4711"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], status: int, why: str) -> None:
    error = refused(*arguments)
    assert (error.returncode, why in str(error)) == (status, True)
    assert not Fuse.objects.exists()


@pytest.mark.parametrize("option", [("--where", "left"), ("--for", "long"), ("--action", "explode")])
def test_what_cannot_be_read_is_said(option: tuple[str, str]) -> None:
    assert option[1] in str(refused("add", "tests.sample.add", *option, "--reason", "x"))


def test_it_lifts_a_fuse_once() -> None:
    fuse = fuses.add("tests.sample.add", reason="it loops", actor="ann")
    assert f"Lifted: what fuse {fuse.pk} held" in run("lift", str(fuse.pk), "--reason", "mended")
    assert "has ended already" in str(refused("lift", str(fuse.pk)))
    assert AuditEntry.objects.get(action="lift_fuse").reason == "mended"
    assert run("list") == "There is no fuse.\n"


def told() -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("list", "--json").splitlines()]


def test_it_tells_programs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fuse = fuses.add("tests.sample.add", action="slow", rate="5/s", reason="it loops", actor="ann")
    (facts,) = told()
    assert (facts["fuse"], facts["job"], facts["rate"], facts["caught"]) == (fuse.pk, "tests.sample.add", "5/s", 0)

    def away(*_: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr(copies, "caught", away)
    assert told()[0]["caught"] is None
