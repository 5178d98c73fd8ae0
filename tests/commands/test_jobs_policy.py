"""A job's policy, printed."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs import Bury, Discard, RetryPolicy, fixed
from tests.docs.pages import ROOT, blocks
from tests.engine import make_job

__all__ = ["make_job"]


def printed(*words):
    out = StringIO()
    call_command("jobs_policy", *words, stdout=out)
    return out.getvalue()


def lines(*words):
    return [" ".join(line.split()) for line in printed(*words).splitlines()]


def test_a_policy_is_printed_with_its_options_attempts_and_waits(make_job):
    policy = RetryPolicy(attempts=3, backoff=fixed(60), deadline=timedelta(hours=24), then=Discard)
    make_job(
        lambda card: None,
        name="tests.policies.debit",
        retry=policy,
        timeout=30,
        expires=timedelta(minutes=10),
        on_death="tell_support",
        sensitive=["card"],
        traceback_lines=7,
    )
    told = lines("debit")
    assert told[0] == "tests.policies.debit"
    for line in (
        "queue default",
        "timeout 30 s",
        "attempts 3, then discarded",
        "back-off fixed(60): 1 min each time",
        "jitter 100% to 110% of the wait",
        "deadline 1 day",
        "expires 10 min after it is due, then dead",
        "sensitive card",
        "on_death tell_support",
        "on_failure none",
        "traceback_lines 7",
        "1 1 min to 1 min 6 s 1 min to 1 min 6 s",
        "2 1 min to 1 min 6 s 2 min to 2 min 12 s",
        "3 discarded",
    ):
        assert line in told


def test_rules_are_printed_each_for_itself(make_job):
    rules = {ValueError: Bury, OSError: RetryPolicy(attempts=2, backoff=fixed(5), jitter=0)}
    make_job(lambda: None, name="tests.policies.ruled", retry=RetryPolicy(rules=rules))
    told = lines("ruled")
    assert "When it raises builtins.ValueError: dead: permanent error" in told
    at = told.index("When it raises builtins.OSError:")
    assert told[at + 1] == "attempts 2, then dead"
    assert told[at + 6 : at + 8] == ["1 5 s 5 s", "2 dead: attempts used up"]


def test_the_projects_callbacks_are_printed_too(make_job, jobs_settings):
    jobs_settings(ON_DEATH="tell_support")
    make_job(lambda: None, name="tests.policies.told", on_death="tell_ann")
    assert "on_death tell_ann, tell_support" in lines("told")


@pytest.mark.parametrize("name", ["announce_parcel", "tests.sample.announce_parcel"])
def test_the_functions_name_will_do(name):
    assert printed(name).startswith("tests.sample.announce_parcel\n")


def test_a_name_that_nobody_has_is_refused_with_the_nearest():
    with pytest.raises(CommandError, match=r"Did you mean \"tests\.sample\.announce_parcel\"\?") as refused:
        printed("tests.sample.anounce_parcel")
    assert refused.value.returncode == 2


def test_without_a_name_every_job_has_its_line():
    told = lines()
    assert told[0] == "job queue attempts within back-off"
    assert "tests.sample.send_login_code default 25 7 min 35 s polynomial(4, offset=15, cap=2592000)" in told
    assert any(
        line.startswith("tests.sample.announce_parcel default 20") and line.endswith(", and 2 rules") for line in told
    )


def test_of_many_attempts_the_first_and_the_last_are_shown(make_job):
    make_job(lambda: None, name="tests.policies.patient", retry=RetryPolicy(attempts=500, backoff=fixed(1), jitter=0))
    told = lines("patient")
    assert told[told.index("60 1 s 1 min") + 1 :][:2] == ["61 and so on", "500 dead: attempts used up"]


def test_programs_get_seconds():
    told = json.loads(printed("announce_parcel", "--json"))
    assert (told["job"], told["attempts"], told["facts"]["deadline"]) == ("tests.sample.announce_parcel", 20, "1 day")
    assert [plan["kind"] for plan in told["failures"]] == ["error", "rule", "rule", "crash"]
    assert told["failures"][0]["steps"][0] == {"number": 1, "wait": [5, 10], "at": [5, 10], "end": ""}
    assert len(json.loads(printed("--json"))) > 20


def test_the_guide_shows_what_is_printed():
    (shown,) = [
        block.text.splitlines()
        for block in blocks("console")
        if block.page == ROOT / "docs" / "retrying.md" and "jobs_policy announce_parcel" in block.text
    ]
    rest = iter(printed("announce_parcel").splitlines())
    for line in shown[1:]:
        assert line.strip() == "…" or line in rest, line
