"""The page about recovery rules: those there are, one more, and switching or removing one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from jobs import recovery, registry
from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import key_or_none
from jobs.errors import BadOptions
from jobs.models import BulkAction, RecoveryRule
from jobs.policy.ages import parse_age
from jobs.policy.rates import parse_rate, rate_in_words

SHOWN_RULES = 100
SHOWN_ACTIONS = 10
_OFFERED = {"jobs": "", "errors": "", "per_hour": "500", "lives": "3", "rest": "5m", "canary": "5", "rate": "10/s"}
# What the audit calls each, done or refused.
_HANDLES = {"on": "switch on rule", "off": "switch off rule", "remove": "remove rule"}


class RecoveryRuleAdmin(ConsoleAdmin):
    """Rules by which dead jobs are retried once a partner answers again."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", True),
            ("<int:pk>/<slug:name>/", self.handle, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        """Show the rules, on GET; add one, on POST."""
        sent, problem = dict(_OFFERED), ""
        if request.method == "POST":
            if not access.may(request, access.MANAGE_RECOVERY):
                return access.refuse(request, access.MANAGE_RECOVERY, action="add rule", target="recovery rules")
            sent = {name: request.POST.get(name, "").strip()[:500] for name in (*_OFFERED, "note")}
            try:
                recovery.add(**_read(sent), actor=access.actor(request), address=access.address(request))
            except (BadOptions, ValueError) as error:
                problem = str(error)
            else:
                messages.success(request, _("Added: it is looked at each minute."))
                return redirect("admin:jobs_recoveryrule_changelist")
        return self._page(request, sent, problem)

    def handle(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Switch or remove a rule, on POST; a GET only shows the rules."""
        if name not in _HANDLES:
            raise Http404(name)
        if not access.may(request, access.MANAGE_RECOVERY):
            recorded = _HANDLES[name] if request.method == "POST" else ""
            return access.refuse(request, access.MANAGE_RECOVERY, action=recorded, target=f"rule {pk}")
        rule = get_object_or_404(RecoveryRule, pk=pk)
        if request.method == "POST":
            words = {
                "actor": access.actor(request),
                "reason": request.POST.get("reason", "").strip()[:500],
                "address": access.address(request),
            }
            verb: Callable[..., None] = recovery.remove if name == "remove" else recovery.switch
            verb(rule, **words, **({} if name == "remove" else {"on": name == "on"}))
        return redirect("admin:jobs_recoveryrule_changelist")

    def _page(self, request: HttpRequest, sent: dict[str, str], problem: str) -> HttpResponse:
        rules = list(RecoveryRule.objects.all()[:SHOWN_RULES])
        actions = BulkAction.objects.filter(rule__isnull=False).defer("selection").order_by("-pk")
        return self.page(
            request,
            "recovery.html",
            title=_("Recovery rules"),
            rules=[(rule, rate_in_words(rule.rate)) for rule in rules],
            actions=list(actions[:SHOWN_ACTIONS]),
            sent=sent,
            problem=problem,
            jobs=registry.names(),
            may_act=access.may(request, access.MANAGE_RECOVERY),
        )


def _read(sent: Mapping[str, str]) -> dict[str, Any]:
    """What was sent, as `recovery.add` takes it. Raises `BadOptions` or ValueError."""
    return {
        "jobs": registry.full_name(sent["jobs"]),
        "errors": sent["errors"],
        "per_hour": key_or_none(sent["per_hour"], int) or 0,
        "lives": key_or_none(sent["lives"], int) or 0,
        "rest": parse_age(sent["rest"]),
        "canary": key_or_none(sent["canary"], int) or 0,
        "rate": parse_rate(sent["rate"]),
        "note": sent["note"],
    }
