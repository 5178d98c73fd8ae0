"""Questions about effects and e-mails, as a URL carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.admin import search
from jobs.admin.keyset import window_start
from jobs.errors import did_you_mean
from jobs.models.markers import CLAIMED, Marker

# Of one that is claimed: nobody can be at it any more.
DOUBT = "doubt"


@dataclass
class MarkerFilter:
    """A question about the markers of one model, by what identifies them, their run and their state."""

    model: type[Marker]
    asked: dict[str, str]
    conditions: Q = field(default_factory=Q)
    problems: list[str] = field(default_factory=list)
    windowed: bool = False
    window_reached: bool = False

    @classmethod
    def read(cls, model: type[Marker], query: Mapping[str, str]) -> MarkerFilter:
        """The question in a query string."""
        asked = {name: query.get(name, "").strip() for name in ("q", "state")}
        made = cls(model, {name: value for name, value in asked.items() if value})
        made._read_box()
        made._read_state()
        return made

    def rows(self) -> QuerySet[Any]:
        """The markers asked for, among the latest `WINDOW` where no index serves."""
        every = self.model._default_manager.all()
        if self.problems:
            return every.none()
        found = every.filter(self.conditions)
        if not self.windowed or (start := window_start(every)) is None:
            return found
        self.window_reached = True
        return found.filter(pk__gte=start)

    def _read_box(self) -> None:
        found = search.parse(self.asked.get("q", ""), qualifiers=self.model.IDENTITY, plain=True)
        self.problems += found.problems
        self.windowed = bool(found.terms)
        for term in found.terms:
            self.conditions &= self._condition(term)

    def _condition(self, term: search.Term) -> Q:
        if term.name in self.model.IDENTITY:
            return Q(**{f"{term.name}__icontains": term.value})
        words = Q()
        for name in self.model.IDENTITY:
            words |= Q(**{f"{name}__icontains": term.value})
        return words | Q(run=found) if (found := search.as_uuid(term.value)) else words

    def _read_state(self) -> None:
        state = self.asked.get("state", "")
        known = [CLAIMED, DOUBT, self.model.DONE]
        if not state:
            return
        if state not in known:
            text = _('There is no state "%(state)s".%(hint)s')
            self.problems.append(text % {"state": state, "hint": did_you_mean(state, known)})
        self.windowed = True
        in_doubt = Q(state=CLAIMED, held_until__lte=timezone.now())
        self.conditions &= in_doubt if state == DOUBT else Q(state=state)
