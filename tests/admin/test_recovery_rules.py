"""Recovery rules are added, switched and removed by who may, and each leaves a trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from jobs import recovery
from jobs.models import AuditEntry, RecoveryRule
from tests.admin.rows import a_dead_job

LIST = reverse("admin:jobs_recoveryrule_changelist")
FORM = {
    **{"jobs": "orders.*", "errors": "", "per_hour": "100", "lives": "2", "rest": "10m"},
    **{"canary": "3", "rate": "5/s", "note": "their proxy"},
}


def act(rule: RecoveryRule, name: str) -> str:
    return reverse("admin:jobs_recoveryrule_act", args=[rule.pk, name])


def test_without_a_rule_the_page_says_so(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No rule: dead jobs wait for a person." in answer.content
    assert b"Add a rule" not in answer.content


def test_an_operator_adds_switches_and_removes_a_rule(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    operator.post(LIST, FORM)
    rule = RecoveryRule.objects.get()
    assert (rule.jobs, rule.per_hour, rule.lives, rule.canary, rule.rate) == ("orders.*", 100, 2, 3, 5.0)
    answer = operator.get(LIST)
    assert_strict(answer.content)
    assert b"100 an hour, 2 times a run, canary 3, 5/s" in answer.content
    operator.post(act(rule, "off"), {"reason": "not this week"})
    assert not RecoveryRule.objects.get().is_on
    operator.post(act(rule, "on"))
    assert RecoveryRule.objects.get().is_on
    operator.post(act(rule, "remove"), {"reason": "their proxy is gone"})
    assert not RecoveryRule.objects.exists()
    said = list(AuditEntry.objects.order_by("pk").values_list("action", "reason"))
    assert said == [
        ("add rule", "their proxy"),
        ("switch off rule", "not this week"),
        ("switch on rule", ""),
        ("remove rule", "their proxy is gone"),
    ]


def test_a_rule_is_removed_on_a_page_that_asks_and_only_for_a_reason(operator: Client) -> None:
    rule = recovery.add("orders.*", actor="ann")
    assert act(rule, "remove") in operator.get(LIST).content.decode()
    assert b"Remove this rule?" in operator.get(act(rule, "remove")).content
    assert b"Write down why" in operator.post(act(rule, "remove"), {"reason": " "}).content
    assert RecoveryRule.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("jobs", ""), ("per_hour", "x"), ("rest", "soon"), ("rate", "fast")])
def test_what_cannot_be_is_asked_again(operator: Client, field: str, value: str) -> None:
    answer = operator.post(LIST, {**FORM, field: value})
    assert b"errornote" in answer.content
    assert b"their proxy" in answer.content
    assert not RecoveryRule.objects.exists()


def test_a_viewer_may_change_nothing_and_the_refusal_is_recorded(viewer: Client) -> None:
    rule = recovery.add("*", actor="ann")
    assert viewer.post(LIST, FORM).status_code == 403
    assert viewer.post(act(rule, "remove")).status_code == 403
    assert viewer.get(act(rule, "off")).status_code == 403
    refused = AuditEntry.objects.filter(outcome="refused").order_by("pk").values_list("action", flat=True)
    assert list(refused) == ["add rule", "remove rule"]
    assert viewer.post(act(rule, "off")).status_code == 403
    assert refused.last() == "switch off rule"
    assert RecoveryRule.objects.get().is_on


def test_a_look_changes_nothing(operator: Client) -> None:
    rule = recovery.add("*", actor="ann")
    a_dead_job()
    for address in (LIST, act(rule, "off"), act(rule, "remove")):
        operator.get(address)
    assert RecoveryRule.objects.get().is_on
    assert AuditEntry.objects.count() == 1


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    assert stranger.get(LIST).status_code == 403
