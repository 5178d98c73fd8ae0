"""From what an operator asked for to the rows of `JobRun`: every query it makes has a bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.http import urlencode

from jobs.admin import search
from jobs.admin.keyset import window_start
from jobs.admin.run_terms import Reading
from jobs.admin.search import Term
from jobs.models import JobRun, RunState
from jobs.policy.ids import first_at, time_of

# What links may carry beside the box; it is put into the box.
FIELDS = ("state", "queue", "job", "batch", "workflow", "schedule", "after", "before")
# Of what indexes serve, the window is among the first that is asked for: so few runs have it in common.
# Rows of one job or queue lie further apart than the latest of all.
NARROW_WINDOW = 25_000
_RAREST_FIRST = ("batch", "subject", "request", "state", "job", "job?", "queue")


@dataclass
class RunFilter:
    """A question about runs, as its URL carries it: all of it is one text, that of the search box.

    `problems` say what was not understood: then no row is shown, for a wider answer would mislead.
    `window_from` is set when only the latest runs were looked at: the time of the oldest of these.
    """

    text: str
    terms: tuple[Term, ...] = ()
    reading: Reading = field(default_factory=lambda: Reading(timezone.now()))
    conditions: Q = field(default_factory=Q)
    only_id: str | None = None
    window_from: datetime | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], *, now: datetime | None = None) -> RunFilter:
        """The question in a query string; ages count back from `now`."""
        fields = [search.written(name, *text.split(",")) for name in FIELDS if (text := query.get(name, "").strip())]
        text = " ".join(filter(None, [query.get("q", "").strip(), *fields]))
        found = search.parse(text)
        made = cls(text, found.terms, Reading(now or timezone.now()), only_id=found.only_id)
        made.problems.extend(found.problems)
        for term in found.terms:
            made.conditions &= made.reading.condition(term)
        made._choose_index()
        return made

    @property
    def asked(self) -> dict[str, str]:
        """The question as fields of a form."""
        return {"q": self.text} if self.text else {}

    @property
    def problems(self) -> list[str]:
        return self.reading.problems

    @property
    def notes(self) -> list[str]:
        return self.reading.notes

    @property
    def windowed(self) -> bool:
        """Whether no index serves all that is asked for."""
        return self.reading.is_windowed

    def only(self, name: str) -> str | None:
        """The one value that is asked for of a qualifier; None where it is not, or there are several."""
        values = [term.only for term in self.terms if term.name == name and term.only is not None]
        return values[0] if len(values) == 1 else None

    def query(self) -> str:
        """The question as a query string."""
        return urlencode(self.asked)

    def without(self, gone: Term) -> str:
        """The query string that leaves one term out."""
        text = self._text_of(term for term in self.terms if term is not gone)
        return urlencode({"q": text}) if text else ""

    def turned(self, name: str, value: str) -> str:
        """The query string that asks for this value of a qualifier, in place of others; or for it no more."""
        wanted = search.written(name, value)
        rest = self._text_of(term for term in self.terms if term.name != name or term.negated)
        text = rest if self.only(name) == value else f"{rest} {wanted}".strip()
        return urlencode({"q": text}) if text else ""

    def rows(self) -> QuerySet[JobRun]:
        """The runs asked for."""
        if self.problems:
            return JobRun.objects.none()
        runs = JobRun.objects.alias(arguments_text=Cast("arguments", TextField()), **self.reading.aliases)
        runs = runs.filter(self.conditions, self._within_times())
        return runs.filter(self._within_window()) if self.windowed else runs

    @staticmethod
    def _text_of(terms: Iterable[Term]) -> str:
        return " ".join(term.text for term in terms)

    def _within_times(self) -> Q:
        # Ids begin with the time of asking, so the primary key serves as the index on time.
        condition = Q()
        if self.reading.after:
            condition &= Q(pk__gte=first_at(self.reading.after))
        if self.reading.before:
            condition &= Q(pk__lt=first_at(self.reading.before))
        return condition

    def _within_window(self) -> Q:
        """The latest of all runs, or so many of the batch or job that is asked for, if that reaches further."""
        within = JobRun.objects.filter(self._within_times())
        starts = [window_start(within)]
        if (name := self._narrowest()) is not None:
            narrowed = self.reading.served[name]
            starts.append(window_start(within.filter(narrowed), size=NARROW_WINDOW))
        if None in starts:
            return Q()
        oldest = min(starts)
        self.window_from = time_of(oldest)
        return Q(pk__gte=oldest)

    def _choose_index(self) -> None:
        """Of several conditions that an index each serves, let the database use that of the narrowest."""
        first = self._narrowest()
        for name, condition in self.reading.served.items():
            # One index has the members of a batch by their state.
            is_served = name == first or (first, name) == ("batch", "state")
            if not is_served:
                self.reading.is_windowed = True
            self.conditions &= condition if is_served else self.reading.without_index(condition)

    def _narrowest(self) -> str | None:
        served = self.reading.served
        names = [name for name in _RAREST_FIRST if name in served]
        # Most runs have succeeded: a job's are fewer.
        names.sort(key=lambda name: name == "state" and self.only(name) == RunState.SUCCEEDED)
        return names[0] if names else None
