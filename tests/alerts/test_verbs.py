"""What people do with rules and incidents, in code and by command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import checks as system_checks
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import alerts
from jobs.errors import BadAlert
from jobs.models import AlertCheck, AlertRule, AuditEntry, Incident
from jobs.models.alerts import NoticeKind
from jobs.policy import alert_choices
from tests.docs.pages import ROOT, table

pytestmark = pytest.mark.django_db
ANN: dict[str, Any] = {"actor": "ann", "reason": "so", "address": "10.0.0.1"}


def an_incident(**facts: Any) -> Incident:
    now = timezone.now()
    given = {"kind": "recorder", "severity": "critical", "value": 90, "worst": 120, "limit": 60}
    return Incident.objects.create(**{**given, "opened_at": now, "seen_at": now, **facts})


def looked(ago: timedelta = timedelta(seconds=20)) -> None:
    now = timezone.now()
    AlertCheck.objects.create(pk=1, due_at=now, checked_at=now - ago, checked_by="a host")


def command(*words: str) -> str:
    out = StringIO()
    call_command("jobs_alerts", *words, stdout=out)
    return out.getvalue()


def test_an_edit_keeps_only_what_is_other_than_the_code_says() -> None:
    alerts.edit_rule("waiting", "critical", limit=50, severity="warning", for_seconds=60, is_on=True, **ANN)
    row = AlertRule.objects.get()
    assert (row.limit, row.severity, row.for_seconds, row.is_on, row.edited_by) == (50, "", None, None, "ann")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("edit_alert_rule", "alert rule waiting:critical", "so")
    assert (entry.before["limit"], entry.after["limit"]) == (100, 50)


def test_an_edit_back_to_what_the_code_says_leaves_no_row() -> None:
    alerts.edit_rule("waiting", "critical", limit=50, **ANN)
    alerts.edit_rule("waiting", "critical", limit=100, **ANN)
    assert not AlertRule.objects.exists()


def test_a_rule_that_is_reverted_is_as_the_code_says() -> None:
    alerts.edit_rule("waiting", limit=5, is_on=False, **ANN)
    assert not alerts.book().of("waiting", "mailers").is_on
    alerts.revert_rule("waiting", **ANN)
    assert alerts.book().of("waiting", "mailers") == alerts.code().of("waiting", "mailers")
    with pytest.raises(BadAlert, match="as the code says already"):
        alerts.revert_rule("waiting", **ANN)


@pytest.mark.parametrize(
    ("kind", "scope", "change", "why"),
    [
        ("wating", "", {"limit": 1}, "no rule"),
        ("dying", "jobs.x", {"limit": 1}, "one thing only"),
        ("waiting", "x" * 201, {"limit": 1}, "no name"),
        ("waiting", "lowww", {"limit": 1}, 'Did you mean "low"'),
        ("waiting", "", {"limit": -1}, "from 0"),
        ("waiting", "", {"limit": float("nan")}, "from 0"),
        ("redis", "", {"limit": 1}, "has no limit"),
        ("waiting", "", {"for_seconds": 1e9}, "a day"),
        ("waiting", "", {"severity": "bad"}, "critical or warning"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(kind: str, scope: str, change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadAlert, match=why):
        alerts.edit_rule(kind, scope, **change, **ANN)
    assert not AuditEntry.objects.exists()


def test_who_acknowledges_is_kept_and_only_the_first() -> None:
    incident = an_incident()
    alerts.acknowledge(incident, **ANN)
    incident.refresh_from_db()
    assert incident.acknowledged_by == "ann"
    with pytest.raises(BadAlert, match="ann has acknowledged"):
        alerts.acknowledge(incident, actor="bob")


def test_what_is_over_is_neither_acknowledged_nor_silenced() -> None:
    incident = an_incident(closed_at=timezone.now())
    for verb in (alerts.acknowledge, lambda one, **who: alerts.silence(one, until=None, **who)):
        with pytest.raises(BadAlert, match="is over"):
            verb(incident, **ANN)


def test_a_silence_ends_in_the_future() -> None:
    with pytest.raises(BadAlert, match="in the future"):
        alerts.silence(an_incident(), until=timezone.now() - timedelta(seconds=1), **ANN)


def test_a_checker_that_is_silent_is_an_incident(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(ALERTS={})
    looked(timedelta(minutes=6))
    an_incident()
    assert [one.kind for one in alerts.open_incidents()] == ["silence", "recorder"]
    assert alerts.is_silent()
    AlertCheck.objects.update(checked_at=timezone.now())
    assert [one.kind for one in alerts.open_incidents()] == ["recorder"]


def test_what_is_open_is_seen_in_two_queries_at_the_most(django_assert_max_num_queries: Any) -> None:
    looked()
    with django_assert_max_num_queries(2):
        assert alerts.open_incidents() == []
    an_incident()
    with django_assert_max_num_queries(1):
        assert len(alerts.open_incidents()) == 1


def test_old_incidents_go_and_open_ones_stay() -> None:
    an_incident(opened_at=timezone.now() - timedelta(days=400))
    old = an_incident(kind="dying", closed_at=timezone.now() - timedelta(days=91))
    old.notices.create(channel="mail", kind=NoticeKind.OPENED, made_at=timezone.now())
    assert alerts.is_anything_prunable()
    assert alerts.prune() == 1
    assert Incident.objects.get().kind == "recorder"


def test_the_command_lists_and_checks(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(ALERTS={})
    assert "never been looked at" in command()
    with pytest.raises(CommandError) as found:
        command("--check")
    assert found.value.returncode == 1
    looked()
    assert command("--check").startswith("No incident. Last check 20 s ago")
    incident = an_incident()
    assert f"{incident.pk}  critical  What happens is recorded late: 1 min 30 s (limit 1 min)" in command()
    assert '"rule": "recorder"' in command("--json")
    with pytest.raises(CommandError):
        command("--check")


def test_the_command_acknowledges_and_silences() -> None:
    incident = an_incident()
    command("ack", str(incident.pk), "--reason", "mine")
    command("silence", str(incident.pk), "--for", "2h")
    command("silence", "waiting:low", "--for", "1d")
    incident.refresh_from_db()
    assert incident.acknowledged_by.startswith("jobs_alerts by")
    assert incident.silenced_until is not None
    assert alerts.book().of("waiting", "low").silenced_until is not None
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "acknowledge_incident",
        "silence_incident",
        "silence_alert_rule",
    }


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["ack", "9999"], 2),
        (["silence", "wating"], 2),
        (["silence", "dying:x"], 2),
        (["silence", "waiting:lowww", "--for", "1h"], 1),
    ],
)
def test_the_command_refuses_what_is_not_there(words: list[str], status: int) -> None:
    with pytest.raises(CommandError) as refused:
        command(*words)
    assert refused.value.returncode == status


def test_the_command_looks_where_no_worker_does(jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(ALERTS={})
    assert "Last check" in command("look")
    assert AlertCheck.objects.get().checked_by.startswith("jobs_alerts by")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"MAILS": []}, 'unknown key "MAILS"'),
        ({"MAIL": "ops@example.com"}, "a list of addresses"),
        ({"MAIL": ["ops"]}, "a list of addresses"),
        ({"WEBHOOK": "file:///etc/passwd"}, "http"),
        ({"EVERY_SECONDS": 0}, "seconds from"),
        ({"RULES": {"wating": {}}}, 'no rule "wating"'),
        ({"RULES": {"waiting": {"limits": 3}}}, "must be a dict with"),
        ({"RULES": {"waiting": {"limit": "3"}}}, "from 0"),
        ("yes", "unknown key"),
    ],
)
def test_what_the_setting_cannot_be_is_a_check_error(told: Any, why: str, jobs_settings: Callable[..., Any]) -> None:
    jobs_settings(ALERTS=told)
    errors = [error for error in system_checks.run_checks(tags=["jobs"]) if error.id == "jobs.E009"]
    assert [why in error.msg for error in errors] == [True]
    # And nothing breaks by it meanwhile.
    assert alerts.open_incidents() == []


def test_every_key_and_every_rule_stands_in_the_guide() -> None:
    page = ROOT / "docs" / "alerts.md"
    keys = {cells[0].strip("`"): cells[1].strip("`") for cells in table(page, first_header="key of `ALERTS`")}
    assert list(keys) == list(alert_choices.KEYS)
    defaults = alert_choices.Choices()
    said = {alert_choices.KEYS[key]: eval(default) for key, default in keys.items()}
    assert {name: getattr(defaults, name) for name in said} == said
    rules = {cells[0].strip("`"): (cells[2], cells[3]) for cells in table(page, first_header="rule")}
    assert list(rules) == list(alert_choices.KINDS)
    for name, kind in alert_choices.KINDS.items():
        limit = "" if kind.unit == "fact" else f"{kind.rule.limit:g} {kind.unit}"
        assert rules[name] == (limit, f"{kind.rule.for_seconds:g} s" if kind.rule.for_seconds else "")
