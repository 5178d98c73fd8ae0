"""The list of e-mails that may be sent once. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from jobs.admin import search
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import WINDOW, key_or_none, page_of, window_start
from jobs.errors import did_you_mean
from jobs.models import SentEmail
from jobs.models.emails import EmailState

_QUALIFIERS = ("recipient", "key", "kind")


@dataclass
class EmailFilter:
    """A question about e-mails, as its URL carries it."""

    asked: dict[str, str]
    conditions: Q = field(default_factory=Q)
    problems: list[str] = field(default_factory=list)
    windowed: bool = False
    window_reached: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> EmailFilter:
        """The question in a query string."""
        asked = {name: query.get(name, "").strip() for name in ("q", "state")}
        made = cls({name: value for name, value in asked.items() if value})
        made._read_box()
        made._read_state()
        return made

    def rows(self) -> QuerySet[SentEmail]:
        """The e-mails asked for, among the latest `WINDOW` where no index serves."""
        if self.problems:
            return SentEmail.objects.none()
        emails = SentEmail.objects.filter(self.conditions)
        if not self.windowed or (start := window_start(SentEmail.objects.all())) is None:
            return emails
        self.window_reached = True
        return emails.filter(pk__gte=start)

    def _read_box(self) -> None:
        found = search.parse(self.asked.get("q", ""), qualifiers=_QUALIFIERS)
        self.problems += found.problems
        self.windowed = bool(found.terms)
        for term in found.terms:
            self.conditions &= _condition(term)

    def _read_state(self) -> None:
        state = self.asked.get("state", "")
        if not state:
            return
        if state not in EmailState.values:
            text = _('There is no state "%(state)s".%(hint)s')
            self.problems.append(text % {"state": state, "hint": did_you_mean(state, EmailState.values)})
        self.windowed = True
        self.conditions &= Q(state=state)


class SentEmailAdmin(ConsoleAdmin):
    """What was sent to whom, and what was claimed and never confirmed."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [("", self.list_page, "changelist", False)]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = EmailFilter.read(request.GET)
        page = page_of(
            asked.rows(),
            older=key_or_none(request.GET.get("older"), int),
            newer=key_or_none(request.GET.get("newer"), int),
        )
        return self.page(
            request,
            "emails.html",
            title=_("Sent e-mails"),
            asked=asked,
            page=page,
            window=WINDOW,
            states=EmailState.choices,
        )


def _condition(term: search.Term) -> Q:
    if term.name in _QUALIFIERS:
        return Q(**{f"{term.name}__icontains": term.value})
    words = Q(recipient__icontains=term.value) | Q(key__icontains=term.value) | Q(kind__icontains=term.value)
    return words | Q(run=found) if (found := search.as_uuid(term.value)) else words
