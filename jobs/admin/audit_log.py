"""The list of what people, commands and rules did. Nobody edits or deletes a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from jobs import audit
from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.files import KINDS, as_file
from jobs.admin.keyset import key_or_none, page_asked
from jobs.models import AuditEntry

_FIELDS = ("actor", "action", "outcome", "target")
_DAYS = ("after", "before")
# The choices offered are the ones in use lately; others can be typed into the address.
_RECENT = 1000
# What a page about one thing shows of it.
_LATEST = 20
COLUMNS = (
    *("id", "at", "actor", "address", "action", "target", "filter", "count", "before", "after", "reason", "outcome"),
)
_AT_ONCE = 500


@dataclass(frozen=True)
class Asked:
    """Which entries somebody wants to see: `given` is what was asked as it was written, `problems` what is wrong."""

    given: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Asked:
        """What a query string asks for."""
        given = {name: value for name in (*_FIELDS, *_DAYS) if (value := query.get(name, "").strip())}
        wrong = [given[name] for name in _DAYS if name in given and _day(given[name]) is None]
        return cls(given, tuple(_("%(day)s is no day. Write it as 2026-05-31.") % {"day": day} for day in wrong))

    def rows(self) -> QuerySet[AuditEntry]:
        """The entries, none where the question is wrong."""
        if self.problems:
            return AuditEntry.objects.none()
        rows = AuditEntry.objects.filter(**{name: self.given[name] for name in _FIELDS if name in self.given})
        # The last day counts as well.
        if (first := _day(self.given.get("after", ""))) is not None:
            rows = rows.filter(at__gte=first)
        if (last := _day(self.given.get("before", ""))) is not None:
            rows = rows.filter(at__lt=last + timedelta(days=1))
        return rows

    @property
    def query(self) -> str:
        """The same as a query string."""
        return urlencode(self.given)


def latest(request: HttpRequest, *targets: str) -> list[AuditEntry]:
    """What was done with these lately, latest first; nothing for those who may not see it."""
    if not access.may(request, access.VIEW_AUDIT):
        return []
    return list(AuditEntry.objects.filter(target__in=targets).order_by("-pk")[:_LATEST])


class AuditEntryAdmin(ConsoleAdmin):
    """Who did what, when, from where, and why; refusals too."""

    permission = access.VIEW_AUDIT

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [("", self.list_page, "changelist", False), ("export/", self.export_page, "export", True)]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = Asked.read(request.GET)
        page = page_asked(asked.rows(), request.GET)
        return self.page(
            request,
            "audit.html",
            title=_("Audit"),
            asked=asked.given,
            problems=asked.problems,
            page=page,
            kinds=list(KINDS),
            newest=page.rows[0].pk if page.rows else None,
            choices=_choices(asked.given),
        )

    def export_page(self, request: HttpRequest) -> HttpResponseBase:
        """The entries that were asked for, as a file; that somebody took them is an entry as well."""
        if refused := access.refusal(request, access.VIEW_AUDIT, action="export", target="audit"):
            return refused
        asked, kind = Asked.read(request.POST), request.POST.get("format", "")
        if request.method != "POST" or kind not in KINDS or asked.problems:
            return HttpResponseRedirect(f"{reverse('admin:jobs_auditentry_changelist')}?{asked.query}")
        newest = key_or_none(request.POST.get("up_to"), int)
        rows = asked.rows() if newest is None else asked.rows().filter(pk__lte=newest)
        audit.record(action="export", target="audit", filter={**asked.given, "format": kind}, **access.who(request))
        return as_file(kind, "audit", COLUMNS, _facts(rows))


def _facts(rows: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    """The entries, newest first, some at a time: no transaction stays open while somebody downloads."""
    last: int | None = None
    while some := list(
        (rows if last is None else rows.filter(pk__lt=last)).order_by("-pk").values(*COLUMNS)[:_AT_ONCE]
    ):
        yield from some
        last = some[-1]["id"]


def _day(text: str) -> datetime | None:
    """When a day begins, as the project's clock has it; None where it is none that a calendar of ours has."""
    try:
        day = parse_date(text)
        return timezone.make_aware(datetime.combine(day, time.min)) if day and 1900 < day.year < 9000 else None
    except (ValueError, OverflowError):
        return None


def _choices(asked: dict[str, str]) -> dict[str, list[str]]:
    """The actors, actions and outcomes of the latest entries, and what is asked for."""
    recent = list(AuditEntry.objects.order_by("-pk").values_list("actor", "action", "outcome")[:_RECENT])
    names = ("actor", "action", "outcome")
    return {
        name: sorted({row[place] for row in recent} | ({asked[name]} if name in asked else set()))
        for place, name in enumerate(names)
    }
