"""The lists of effects, of sent e-mails and of the audit."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from jobs import audit
from jobs.admin import keyset
from jobs.models import AuditEntry, SentEmail
from tests.admin.rows import a_run, an_email

EMAILS = reverse("admin:jobs_sentemail_changelist")
AUDIT = reverse("admin:jobs_auditentry_changelist")


def heads(client: Client, address: str) -> list[str]:
    """The first words of the rows that a list shows."""
    return re.findall(r'<th scope="row">([^<]+?)\s*<', client.get(address).content.decode())


@pytest.mark.parametrize("address", [EMAILS, AUDIT])
def test_without_the_permission_no_list_opens(stranger: Client, address: str) -> None:
    assert stranger.get(address).status_code == 403


def test_the_audit_has_a_permission_of_its_own(viewer: Client, person: Callable[..., Client]) -> None:
    assert viewer.get(AUDIT).status_code == 403
    assert AUDIT not in viewer.get(EMAILS).content.decode()
    assert person("view_audit").get(AUDIT).status_code == 200


@pytest.mark.parametrize("address", [EMAILS, AUDIT])
def test_an_empty_list_says_so(operator: Client, address: str, assert_strict: Callable[[bytes], None]) -> None:
    answer = operator.get(address)
    assert_strict(answer.content)
    assert b"jobs-empty" in answer.content


@pytest.mark.parametrize(
    "query",
    ["q=grace@example.com", "q=grace", "q=key:order-7", "q=kind:welcome", "q=recipient:grace+order-7", "state=claimed"],
)
def test_each_search_finds_its_email(viewer: Client, query: str) -> None:
    an_email()
    an_email(recipient="grace@example.com", key="order-7", kind="welcome", state="claimed", sent_at=None)
    assert heads(viewer, f"{EMAILS}?{query}") == ["grace@example.com"]


def test_an_email_is_found_by_its_run_and_links_to_it(viewer: Client) -> None:
    run = a_run()
    an_email(run=run.pk)
    assert heads(viewer, f"{EMAILS}?q={run.pk}") == ["ada@example.com"]
    assert f"?q={run.pk}" in viewer.get(EMAILS).content.decode()


def test_a_wrong_question_about_emails_is_answered(viewer: Client) -> None:
    an_email()
    assert b"Did you mean &quot;recipient&quot;?" in viewer.get(f"{EMAILS}?q=recipent:ada").content
    assert heads(viewer, f"{EMAILS}?state=lost") == []


def test_a_search_for_emails_says_when_it_did_not_look_at_all(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 2)
    for number in range(3):
        an_email(key=f"order-{number}")
    assert b"e-mails only" in viewer.get(f"{EMAILS}?q=order-0").content
    assert heads(viewer, f"{EMAILS}?q=order-0") == []


@pytest.mark.parametrize(
    "query", ["actor=ada", "action=discard", "outcome=refused", "target=run-1", "actor=ada&action=discard"]
)
def test_each_filter_finds_its_audit_entry(operator: Client, query: str) -> None:
    audit.record(actor="grace", action="requeue")
    audit.record(actor="ada", action="discard", target="run-1", outcome="refused")
    assert heads(operator, f"{AUDIT}?{query}") == ["ada"]


def test_the_audit_shows_the_newest_first_and_escapes(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    audit.record(actor="ada", action="discard", reason="<script>alert(1)</script>", before={"state": "dead"})
    audit.record(actor="grace", action="requeue", filter={"job": "<b>"})
    answer = operator.get(AUDIT)
    assert_strict(answer.content)
    assert heads(operator, AUDIT) == ["grace", "ada"]


def test_nobody_can_change_the_audit_or_an_email(operator: Client) -> None:
    audit.record(actor="ada", action="discard")
    an_email()
    for address in (AUDIT, EMAILS):
        assert operator.post(address).status_code == 405
        for path in ("add/", "1/change/", "1/delete/"):
            assert operator.post(f"{address}{path}").status_code == 404
    assert AuditEntry.objects.count() == SentEmail.objects.count() == 1


@pytest.mark.parametrize("address", [EMAILS, AUDIT])
def test_each_list_makes_the_same_few_queries_for_any_number(
    operator: Client, address: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        an_email(key=str(number))
        audit.record(actor="ada", action="requeue")
    with django_assert_max_num_queries(6):
        operator.get(address)
