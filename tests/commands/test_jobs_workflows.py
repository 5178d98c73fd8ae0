"""`jobs_workflows`: the verbs of the console, from a terminal."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import workflows
from jobs.management.commands import jobs_workflows  # noqa: F401
from jobs.models import AuditEntry, Workflow
from jobs.testing import drain
from jobs.workflows import Flow, any_of, failed, result_of
from tests.workflows.conftest import make_job, work

__all__ = ["make_job", "work"]

pytestmark = pytest.mark.django_db

WHY = ["--reason", "test"]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs_workflows", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value


@pytest.fixture
def order(work: Any) -> Workflow:
    flow = Flow("order", key="order-17")
    flow.step("charge", work("charge"))
    flow.step("fulfil", work("fulfil"), after="charge", when=result_of("charge").equals("charge"))
    flow.step("tell", work("tell"), after=failed("charge"))
    flow.step("close", work("close"), after=any_of("fulfil", "tell"))
    return flow.start()


def test_it_lists_and_shows_them_as_trees(order: Workflow, work: Any) -> None:
    assert "order  [order-17]  0 of 4 steps ended" in run()
    work.will["charge"] = "fail"
    drain()
    assert run() == "No workflow is running.\n"
    assert run("list", "--state", "failed") == 'No workflow is in the state "failed".\n'
    assert f"{order.pk:>6}  succeeded  order" in run("list", "--all")
    assert run("show", "order-17").splitlines()[1:] == [
        "! charge  failed  tests.workflows.work  (its run died: ValueError: no)",
        "  x fulfil  blocked  tests.workflows.work  if charge equals 'charge'  (\"charge\" has failed)",
        "    + close  succeeded  tests.workflows.work  after any of fulfil, tell",
        "  + tell  succeeded  tests.workflows.work  after the failure of charge",
    ]
    told = json.loads(run("show", str(order.pk), "--json"))
    assert (told["state"], told["steps"][0]["state"]) == ("succeeded", "failed")


def test_it_retries_skips_cancels_and_resumes(order: Workflow, work: Any) -> None:
    run("cancel", "order-17", *WHY)
    drain()
    assert work.calls == []
    run("resume", "order-17", *WHY)
    run("skip", "order-17", "fulfil", *WHY)
    drain()
    run("retry-from", "order-17", "charge", *WHY)
    drain()
    order.refresh_from_db()
    assert (order.state, work.calls) == ("succeeded", ["charge", "close", "charge", "fulfil", "close"])
    assert AuditEntry.objects.filter(actor__startswith="jobs_workflows", target__startswith="workflow").count() == 4


def test_a_check_finds_what_has_stalled(order: Workflow) -> None:
    assert run("--check") == "No workflow has stalled.\n"
    Workflow.objects.update(stalls_at=timezone.now() - timedelta(hours=1))
    workflows.recover()
    assert refused("--check").returncode == 1
    assert "1 workflow has stalled" in str(refused("list", "--check"))


def test_what_cannot_be_is_refused_by_status(order: Workflow) -> None:
    assert refused("show", "order-18").returncode == 2
    assert refused("cancel", "order-17").returncode == 2
    assert refused("skip", "order-17", "chrage", *WHY).returncode == 1
    assert 'Did you mean "charge"' in str(refused("retry-from", "order-17", "chrage", *WHY))


def test_what_conditions_compare_with_secrets_is_not_shown(work: Any) -> None:
    flow = Flow("login", key="login-1")
    flow.step("ask", work("ask"))
    flow.step("go", work("go"), after="ask", when=result_of("ask", "api_token").equals("s3cret"))
    flow.start()
    shown = run("show", "login-1", "--json") + run("show", "login-1")
    assert "s3cret" not in shown
    assert "ask[api_token] equals [redacted]" in shown
