"""The page about recovery rules: those there are, one more, and switching or removing one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import recovery, registry
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import key_or_none
from jobs.errors import BadOptions
from jobs.models import BulkAction, RecoveryRule
from jobs.policy.ages import parse_age
from jobs.policy.rates import parse_rate, rate_in_words

SHOWN_RULES = 100
SHOWN_ACTIONS = 10
_OFFERED = {"jobs": "", "errors": "", "per_hour": "500", "lives": "3", "rest": "5m", "canary": "5", "rate": "10/s"}
ACTIONS = acting.named(
    Action(
        name="on",
        recorded="switch on rule",
        permission=access.MANAGE_RECOVERY,
        label=gettext_lazy("Switch on"),
        verb=partial(recovery.switch, on=True),
        done=gettext_lazy("Switched on: it is looked at each minute."),
        fits=lambda rule: not rule.is_on,
    ),
    Action(
        name="off",
        recorded="switch off rule",
        permission=access.MANAGE_RECOVERY,
        label=gettext_lazy("Switch off"),
        verb=partial(recovery.switch, on=False),
        done=gettext_lazy("Switched off: it retries nothing until it is switched on."),
        fits=lambda rule: rule.is_on,
    ),
    Action(
        name="remove",
        recorded="remove rule",
        permission=access.MANAGE_RECOVERY,
        label=gettext_lazy("Remove"),
        verb=recovery.remove,
        done=gettext_lazy("Removed."),
        question=gettext_lazy("Remove this rule?"),
        consequence=gettext_lazy(
            "Dead jobs that it covers wait for a person from now on. What it asked for is kept and goes on."
        ),
        button=gettext_lazy("Remove the rule"),
        destroys=True,
    ),
)


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
            if refused := access.refusal(request, access.MANAGE_RECOVERY, action="add rule", target="recovery rules"):
                return refused
            sent = {name: request.POST.get(name, "").strip()[:500] for name in (*_OFFERED, "note")}
            try:
                recovery.add(**_read(sent), **access.who(request))
            except (BadOptions, ValueError) as error:
                problem = str(error)
            else:
                messages.success(request, _("Added: it is looked at each minute."))
                return redirect("admin:jobs_recoveryrule_changelist")
        return self._page(request, sent, problem)

    def handle(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Switch a rule, on POST, or remove it; a GET asks whether to remove it, or only shows the rules."""
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: get_object_or_404(RecoveryRule, pk=pk),
            target=f"rule {pk}",
            back=reverse("admin:jobs_recoveryrule_changelist"),
            template="recovery_act.html" if name == "remove" else "",
            shown=lambda rule: {"rule": rule},
        )

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
