"""The list of what people, commands and rules did. Nobody edits or deletes a row."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import page_asked
from jobs.models import AuditEntry

_FIELDS = ("actor", "action", "outcome", "target")
# The choices offered are the ones in use lately; others can be typed into the address.
_RECENT = 1000
# What a page about one thing shows of it.
_LATEST = 20


def latest(request: HttpRequest, *targets: str) -> list[AuditEntry]:
    """What was done with these lately, latest first; nothing for those who may not see it."""
    if not access.may(request, access.VIEW_AUDIT):
        return []
    return list(AuditEntry.objects.filter(target__in=targets).order_by("-pk")[:_LATEST])


class AuditEntryAdmin(ConsoleAdmin):
    """Who did what, when, from where, and why; refusals too."""

    permission = access.VIEW_AUDIT

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [("", self.list_page, "changelist", False)]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = {name: value for name in _FIELDS if (value := request.GET.get(name, "").strip())}
        page = page_asked(AuditEntry.objects.filter(**asked), request.GET)
        return self.page(request, "audit.html", title=_("Audit"), asked=asked, page=page, choices=_choices(asked))


def _choices(asked: dict[str, str]) -> dict[str, list[str]]:
    """The actors, actions and outcomes of the latest entries, and what is asked for."""
    recent = list(AuditEntry.objects.order_by("-pk").values_list("actor", "action", "outcome")[:_RECENT])
    names = ("actor", "action", "outcome")
    return {
        name: sorted({row[place] for row in recent} | ({asked[name]} if name in asked else set()))
        for place, name in enumerate(names)
    }
