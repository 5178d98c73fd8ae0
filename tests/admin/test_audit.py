"""Who did what, when, from where and why: found by each filter, shown with what changed, and taken along as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import audit
from jobs.models import AuditEntry
from tests.admin.rows import a_dead_job

LIST = reverse("admin:jobs_auditentry_changelist")
EXPORT = reverse("admin:jobs_auditentry_export")


def file_of(answer) -> str:
    return b"".join(answer.streaming_content).decode()


def test_days_narrow_the_list_and_the_last_one_counts(operator: Client) -> None:
    audit.record(actor="ada", action="discard")
    today = timezone.localdate()
    for query, there in (
        (f"after={today}", True),
        (f"before={today}", True),
        (f"after={today + timedelta(days=1)}", False),
        (f"before={today - timedelta(days=1)}", False),
    ):
        assert (b">ada" in operator.get(f"{LIST}?{query}").content.partition(b"<tbody>")[2]) is there, query


@pytest.mark.parametrize("day", ["soon", "2026-02-31", "0001-01-01", "9999-12-31", "2026-05-31T00:00"])
def test_what_is_no_day_is_said(operator: Client, day: str) -> None:
    audit.record(actor="ada", action="discard")
    answer = operator.get(LIST, {"after": day})
    assert b"is no day" in answer.content
    assert b"<tbody>" not in answer.content


def test_it_is_told_what_changed_and_not_what_stayed(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    audit.record(
        actor="ada", action="edit", before={"state": "dead", "queue": "low"}, after={"state": "<b>", "queue": "low"}
    )
    answer = operator.get(LIST)
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "<code>dead</code>" in page
    assert "<code>&lt;b&gt;</code>" in page
    assert "queue:" not in page


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("batch 17", "/batch/17/"),
        ("workflow 3 step ship", "/workflow/3/"),
        ("cause 4: shop.charge GatewayDown", "/failurecause/4/"),
        ("schedule nightly", "/schedule/?q=nightly"),
        ("queue low", "/jobrun/?queue=low"),
        ("fuse 2", "/fuse/"),
        ("rule 2", "/recoveryrule/"),
    ],
)
def test_a_target_leads_to_its_page(operator: Client, target: str, leads_to: str) -> None:
    audit.record(actor="ada", action="act", target=target)
    assert f'{leads_to}">{target}</a>' in operator.get(LIST).content.decode()


def test_who_discarded_a_job_is_found_on_the_jobs_own_page(operator: Client) -> None:
    buried = a_dead_job()
    run = reverse("admin:jobs_jobrun_change", args=[buried.run_id])
    operator.post(reverse("admin:jobs_jobrun_act", args=[buried.run_id, "discard"]), {"reason": "moved away"})
    who = AuditEntry.objects.get(action="discard").actor
    assert f'<th scope="row">{who} <span class="jobs-ago">127.0.0.1</span></th>' in operator.get(run).content.decode()


def test_a_csv_holds_what_was_asked_for_and_no_formula(operator: Client) -> None:
    audit.record(actor="=cmd|calc", action="discard", reason="@SUM(1)", after={"state": "x"})
    audit.record(actor="bob", action="requeue")
    answer = operator.post(EXPORT, {"format": "csv", "action": "discard"})
    (row,) = csv.DictReader(io.StringIO(file_of(answer)))
    assert (row["actor"], row["reason"], row["after"]) == ("'=cmd|calc", "'@SUM(1)", '{"state": "x"}')
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert "no-store" in answer.headers["Cache-Control"]


def test_json_holds_the_same_and_that_somebody_took_it_is_recorded(operator: Client) -> None:
    audit.record(actor="ada", action="discard")
    newest = AuditEntry.objects.latest("pk").pk
    told = json.loads(file_of(operator.post(EXPORT, {"format": "json", "up_to": newest})))
    assert [entry["actor"] for entry in told] == ["ada"]
    taken = AuditEntry.objects.latest("pk")
    assert (taken.action, taken.target, taken.filter) == ("export", "audit", {"format": "json"})


def test_more_than_fit_into_one_question_are_all_in_the_file(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.admin.audit_log._AT_ONCE", 2)
    for number in range(5):
        audit.record(actor=f"a{number}", action="discard")
    told = json.loads(file_of(operator.post(EXPORT, {"format": "json", "action": "discard"})))
    assert [entry["actor"] for entry in told] == ["a4", "a3", "a2", "a1", "a0"]


@pytest.mark.parametrize("sent", [{}, {"format": "exe"}, {"format": "csv", "after": "soon"}])
def test_a_file_that_cannot_be_leads_back_to_the_list(operator: Client, sent: dict[str, str]) -> None:
    assert operator.post(EXPORT, sent).headers["Location"].startswith(LIST)
    assert operator.get(EXPORT).status_code == 302
    assert not AuditEntry.objects.exists()


def test_without_the_permission_no_file_is_sent_and_that_is_recorded(viewer: Client) -> None:
    assert viewer.post(EXPORT, {"format": "csv"}).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"


def test_a_long_list_costs_few_queries(operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(60):
        audit.record(actor=f"a{number}", action="discard")
    with django_assert_max_num_queries(15):
        operator.get(LIST)
