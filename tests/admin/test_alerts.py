"""The pages about alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import alerts
from jobs.models import AlertCheck, AlertRule, AuditEntry, Incident
from jobs.models.alerts import NoticeKind
from jobs.policy.alert_rules import KINDS

LIST = reverse("admin:jobs_incident_changelist")


def rule_page(name: str, rule: str) -> str:
    return f"{reverse('admin:jobs_incident_rule', args=[name])}?rule={rule}"


def act_page(incident: Incident, name: str) -> str:
    return reverse("admin:jobs_incident_act", args=[incident.pk, name])


def an_incident(**facts: Any) -> Incident:
    now = timezone.now()
    given = {"kind": "wait", "scope": "critical", "severity": "critical", "value": 75, "worst": 90, "limit": 60}
    return Incident.objects.create(**{**given, "opened_at": now, "seen_at": now, **facts})


def looked(**facts: Any) -> None:
    now = timezone.now()
    AlertCheck.objects.create(pk=1, due_at=now, **{"checked_at": now, "checked_by": "a host", **facts})


@pytest.fixture(autouse=True)
def alerts_on(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(ALERTS={"MAIL": ["ops@example.com"]})


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    incident = an_incident()
    for address in (LIST, reverse("admin:jobs_incident_change", args=[incident.pk]), act_page(incident, "silence")):
        assert stranger.get(address).status_code == 403


def test_an_empty_page_says_when_it_was_looked_last(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    looked()
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert "No incident. Last check" in answer.content.decode()
    assert "People are told by: log, mail." in answer.content.decode()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (None, "have never been looked at"),
        ({"checked_at": timezone.now() - timedelta(hours=1)}, "Nobody looks at the rules"),
        ({"problems": {"queues": "KeyError: depth"}}, "Not looked at: queues. KeyError: depth"),
    ],
)
def test_a_check_that_does_not_go_well_is_said(viewer: Client, facts: dict[str, Any] | None, said: str) -> None:
    if facts is not None:
        looked(**facts)
    assert said in viewer.get(LIST).content.decode()


def test_a_viewer_sees_what_is_open_and_who_was_told_and_no_button(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    looked()
    incident = an_incident(detail="<script>alert(1)</script>")
    now = timezone.now()
    incident.notices.create(channel="mail", kind=NoticeKind.OPENED, made_at=now, sent_at=now)
    incident.notices.create(
        channel="webhook", kind=NoticeKind.OPENED, made_at=now, try_at=now, attempts=2, error="chat answered 500"
    )
    for address in (LIST, reverse("admin:jobs_incident_change", args=[incident.pk])):
        answer = viewer.get(address)
        assert_strict(answer.content)
        page = answer.content.decode()
        assert "1 min 15 s, limit 1 min" in page
        assert "chat answered 500" in page
        assert "<script>alert" not in page
        assert "<button" not in page.partition('id="content"')[2].partition("jobs-shell")[0].replace("log out", "")


def test_the_list_has_few_queries_however_many_there_are(
    operator: Client, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    looked()
    now = timezone.now()
    for number in range(30):
        for closed_at in (None, now):
            one = an_incident(scope=f"q{number}", closed_at=closed_at)
            one.notices.create(channel="mail", kind=NoticeKind.OPENED, made_at=now, sent_at=now)
    # The session and the person, then six of its own.
    with django_assert_max_num_queries(11):
        operator.get(LIST)


def test_an_operator_acknowledges_silences_and_ends_the_silence(operator: Client) -> None:
    incident = an_incident()
    for name, sent in (("acknowledge", {}), ("silence", {"until": "2h", "reason": "known"}), ("unsilence", {})):
        assert operator.get(act_page(incident, name)).status_code in (200, 302)
        assert operator.post(act_page(incident, name), sent).status_code == 302
        incident.refresh_from_db()
        assert bool(incident.silenced_until) is (name == "silence")
    assert incident.acknowledged_by
    actions = AuditEntry.objects.order_by("pk").values_list("action", "target", "outcome")
    assert list(actions) == [
        (action, str(incident), "done") for action in ("acknowledge_incident", "silence_incident", "unsilence_incident")
    ]


def test_a_silence_without_a_time_is_asked_for_again(operator: Client) -> None:
    incident = an_incident()
    for until in ("", "yesterday", "2001-01-01T00:00"):
        assert operator.post(act_page(incident, "silence"), {"until": until}).status_code == 200
    incident.refresh_from_db()
    assert incident.silenced_until is None


def test_a_viewer_may_not_act_and_that_is_recorded(viewer: Client) -> None:
    incident = an_incident()
    assert viewer.post(act_page(incident, "acknowledge")).status_code == 403
    assert viewer.post(rule_page("edit", "waiting:low"), {"limit": "1"}).status_code == 403
    assert viewer.get(rule_page("edit", "waiting:low")).status_code == 403
    assert set(AuditEntry.objects.values_list("action", "target", "outcome")) == {
        ("acknowledge_incident", str(incident), "refused"),
        ("edit_alert_rule", "alert rule waiting:low", "refused"),
    }
    assert not AlertRule.objects.exists()


def test_what_is_over_cannot_be_acknowledged(operator: Client) -> None:
    incident = an_incident(closed_at=timezone.now())
    page = operator.post(act_page(incident, "acknowledge"), follow=True).content.decode()
    assert "is over" in page


def test_a_rule_is_edited_silenced_and_reverted(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    page = rule_page("edit", "waiting:mailers")
    answer = operator.get(page)
    assert_strict(answer.content)
    assert "The code says: limit 1,000, for 1 min, warning." in answer.content.decode()
    sent = {"limit": "20,000", "for": "5m", "severity": "critical", "is_on": "yes", "reason": "floods"}
    assert operator.post(page, sent).status_code == 302
    rule = alerts.book().of("waiting", "mailers")
    assert (rule.limit, rule.for_seconds, rule.severity, rule.is_on) == (20_000, 300, "critical", True)
    operator.post(rule_page("silence", "waiting:mailers"), {"until": "1d"})
    assert alerts.book().of("waiting", "mailers").silenced_until is not None
    listed = operator.get(LIST).content.decode()
    assert "20,000" in listed
    assert "the code says 1,000" in listed
    operator.post(rule_page("revert", "waiting:mailers"))
    assert not AlertRule.objects.exists()
    entry = AuditEntry.objects.get(action="edit_alert_rule")
    assert (entry.before["limit"], entry.after["limit"], entry.reason) == (1000, 20_000, "floods")


def test_a_rule_is_switched_off_by_an_empty_box(operator: Client) -> None:
    operator.post(rule_page("edit", "paused"), {"limit": "3600", "for": "0", "severity": "warning"})
    assert not alerts.book().of("paused", "low").is_on


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"limit": "many"}, "is no number"),
        ({"limit": "-1"}, "from 0"),
        ({"for": "soon"}, "is no age"),
        ({"limit": "nan"}, "from 0"),
    ],
)
def test_a_rule_that_cannot_be_changes_nothing(operator: Client, sent: dict[str, str], said: str) -> None:
    answer = operator.post(rule_page("edit", "waiting"), {"is_on": "yes", **sent}, follow=True)
    assert said in answer.content.decode()
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize("kind", ["waiting", "redis", "failing", "wait"])
def test_rules_of_all_units_have_their_page(operator: Client, kind: str) -> None:
    assert operator.get(rule_page("edit", kind)).status_code == 200


def test_incidents_of_every_kind_are_told_in_words(viewer: Client) -> None:
    for kind in KINDS:
        an_incident(kind=kind, scope="x" if KINDS[kind].of else "")
    # Of a rule that other code knows.
    other = an_incident(kind="gone", scope="100 %s")
    assert viewer.get(reverse("admin:jobs_incident_change", args=[other.pk])).status_code == 200
    page = viewer.get(LIST).content.decode()
    assert page.count("Where to look") == len(KINDS) + 1
    assert page.count("%(") == 0


@pytest.mark.parametrize("rule", ["wating", "dying:x", "", "waiting:" + "x" * 300])
def test_a_rule_that_there_is_not_is_not_found(operator: Client, rule: str) -> None:
    assert operator.get(rule_page("edit", rule)).status_code == 404


def test_the_form_for_one_of_a_kind_leads_to_its_rule(operator: Client) -> None:
    page = reverse("admin:jobs_incident_rule", args=["edit"])
    assert "failing:shop.charge" in operator.get(page, {"kind": "failing", "scope": "shop.charge"}).content.decode()


def test_an_incident_that_there_is_not_is_not_found(operator: Client) -> None:
    for key in (17, 2**70):
        assert operator.get(f"{LIST}{key}/").status_code == 404
        assert operator.post(f"{LIST}{key}/acknowledge/").status_code == 404
