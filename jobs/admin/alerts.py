"""The pages about alerts: incidents that are open and over, who was told, and the rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs import alerts, conf, registry
from jobs.admin import access, acting, alert_actions, audit_log
from jobs.admin.alert_actions import OF_INCIDENT, OF_RULE, ShownRule
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import page_asked
from jobs.models import Incident, IncidentNotice
from jobs.models.alerts import Severity
from jobs.policy.alert_rules import KINDS, key_of, text_of

MOST_OPEN = 100
_LIST = "admin:jobs_incident_changelist"


class IncidentAdmin(ConsoleAdmin):
    """Alerts: what is wrong now, what was, and what is looked at."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("rule/<slug:name>/", self.rule_page, "rule", True),
            ("<int:pk>/", self.one_page, "change", False),
            ("<int:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        told = Prefetch("notices", IncidentNotice.objects.order_by("pk"))
        there = list(alerts.unclosed().prefetch_related(told)[:MOST_OPEN])
        over = Incident.objects.filter(closed_at__isnull=False).prefetch_related(told)
        return self.page(
            request,
            "alerts.html",
            title=_("Alerts"),
            checks=alerts.checks(),
            is_on=alerts.is_on(),
            there=[(one, acting.offered(request, OF_INCIDENT, one)) for one in there],
            page=page_asked(over, request.GET),
            rules=alert_actions.rules(),
            channels=alerts.told_by(),
            may_manage=access.may(request, access.MANAGE_ALERTS),
            addable=_addable(),
        )

    def one_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        incident = _find(pk)
        return self.page(
            request,
            "incident.html",
            title=_("Incident %(number)d") % {"number": pk},
            incident=incident,
            notices=incident.notices.all(),
            rule=alert_actions.rule(incident.kind, incident.scope) if incident.kind in KINDS else None,
            actions=acting.offered(request, OF_INCIDENT, incident),
            may_manage=access.may(request, access.MANAGE_ALERTS),
            audit_entries=audit_log.latest(request, str(incident), f"alert rule {incident.rule}"),
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            OF_INCIDENT.get(name),
            lambda: _find(pk),
            target=f"incident {pk}",
            back=reverse("admin:jobs_incident_change", args=[pk]),
            given=lambda incident: alert_actions.given_to_incident(name, request.POST),
            template="incident_act.html" if name == "silence" else "",
            shown=lambda incident: {"incident": incident, "until": request.POST.get("until", "")},
        )

    def rule_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask for a rule's terms, on GET; change them, on POST. The rule stands in `?rule=`."""
        text = request.GET.get("rule", "")[:300]
        if not text and request.GET.get("kind"):
            text = text_of(request.GET["kind"], request.GET.get("scope", "").strip())[:300]
        # People may look at the form who may change the rule; refusals name it as it was asked for.
        return acting.act(
            self,
            request,
            OF_RULE.get(name),
            lambda: _rule(text),
            target=f"alert rule {text}"[:300],
            back=reverse(_LIST) + "#rules",
            given=lambda shown: alert_actions.given_to_rule(name, request.POST),
            template="alert_rule.html" if name == "edit" else "",
            shown=lambda shown: self._about(request, shown),
        )

    def _about(self, request: HttpRequest, shown: ShownRule) -> dict[str, Any]:
        """What the page of a rule says."""
        return {
            "shown": shown,
            "of": KINDS[shown.rule.kind].of,
            "sent": request.POST,
            "severities": Severity.choices,
            "others": [each for each in acting.offered(request, OF_RULE, shown) if each.name != "edit"],
            "audit_entries": audit_log.latest(request, shown.target),
        }


def _find(pk: int) -> Incident:
    return get_object_or_404(Incident, pk=pk if pk < 2**63 else 0)


def _rule(text: str) -> ShownRule:
    try:
        return alert_actions.rule(*key_of(text))
    except ValueError as error:
        raise Http404(str(error)) from error


def _addable() -> dict[str, Any]:
    """What a rule for one queue, job, schedule or circuit may be about."""
    kinds = [kind for kind, about in KINDS.items() if about.of and about.of != "rule"]
    return {"kinds": kinds, "names": [*conf.queue_names(), *registry.names()]}
