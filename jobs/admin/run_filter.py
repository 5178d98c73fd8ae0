"""From what an operator asked for to the rows of `JobRun`: every query it makes has a bound."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet, TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import conf, registry
from jobs.admin import search
from jobs.admin.keyset import key_or_none, window_start
from jobs.errors import did_you_mean
from jobs.models import Batch, JobRun, RunState, Schedule, ScheduleTick

# PostgreSQL counts the places of a JSON list in 32 bits.
_MOST_PLACES = 2**31
# A tick knows its run and no run its tick, so the runs of a schedule are asked for by their ids.
MOST_TICKS = 1000
FIELDS = ("q", "state", "queue", "job", "batch", "workflow", "after", "before")


@dataclass
class RunFilter:
    """A question about runs, as its URL carries it.

    `problems` say what was not understood: then no row is shown, for a wider answer would mislead.
    `window_from` is set when only the latest `WINDOW` runs, of a batch those in it, were looked at, to the time of the
    oldest of these.
    """

    asked: dict[str, str]
    conditions: Q = field(default_factory=Q)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    after: datetime | None = None
    before: datetime | None = None
    only_id: str | None = None
    window_from: datetime | None = None
    windowed: bool = False
    aliases: dict[str, KeyTransform] = field(default_factory=dict)
    within_batch: Q = field(default_factory=Q)

    @classmethod
    def read(cls, query: Mapping[str, str]) -> RunFilter:
        """The question in a query string."""
        asked = {name: query.get(name, "").strip() for name in FIELDS}
        made = cls({name: value for name, value in asked.items() if value})
        made._read_box()
        made._read_fields()
        made._read_times()
        return made

    def rows(self) -> QuerySet[JobRun]:
        """The runs asked for."""
        if self.problems:
            return JobRun.objects.none()
        runs = JobRun.objects.alias(arguments_text=Cast("arguments", TextField()), **self.aliases)
        runs = runs.filter(self.conditions, self._within_times())
        return runs.filter(self._within_window()) if self.windowed else runs

    def _read_box(self) -> None:
        found = search.parse(self.asked.get("q", ""))
        self.only_id = found.only_id
        self.problems += found.problems
        for term in found.terms:
            self._add(term)

    def _read_fields(self) -> None:
        for name in ("state", "queue", "job", "batch", "workflow"):
            if value := self.asked.get(name):
                self._add(search.Term(name, value))

    def _read_times(self) -> None:
        for name in ("after", "before"):
            try:
                setattr(self, name, search.parse_moment(self.asked.get(name, ""), now=timezone.now()))
            except ValueError as error:
                self.problems.append(str(error))

    def _add(self, term: search.Term) -> None:
        name = "args" if term.name.startswith("args.") else term.name
        self.conditions &= _READERS[name](self, term)

    def _within_times(self) -> Q:
        # Ids begin with the time of asking, so the primary key serves as the index on time.
        condition = Q()
        if self.after:
            condition &= Q(pk__gte=first_id_at(self.after))
        if self.before:
            condition &= Q(pk__lt=first_id_at(self.before))
        return condition

    def _within_window(self) -> Q:
        oldest = window_start(JobRun.objects.filter(self._within_times(), self.within_batch))
        if oldest is None:
            return Q()
        self.window_from = time_of(oldest)
        return Q(pk__gte=oldest)

    # How each qualifier is read.

    def _by_id(self, term: search.Term) -> Q:
        if found := search.as_uuid(term.value):
            return Q(pk=found) | Q(rq_id=term.value)
        return Q(rq_id=term.value)

    def _by_state(self, term: search.Term) -> Q:
        return self._one_of(term.value, known=RunState.values, what=_("state"), column="state", strict=True)

    def _by_queue(self, term: search.Term) -> Q:
        return self._one_of(term.value, known=conf.queue_names(), what=_("queue"), column="queue")

    def _by_job(self, term: search.Term) -> Q:
        names = ",".join(registry.full_name(name) for name in term.value.split(","))
        return self._one_of(names, known=registry.names(), what=_("job"), column="name")

    def _by_batch(self, term: search.Term) -> Q:
        key = key_or_none(term.value, int)
        if key is None:
            self.problems.append(_('"%(value)s" is no number of a batch.') % {"value": term.value})
        # The members of a batch have an index of their own: what no other serves is looked for among them.
        self.within_batch &= Q(batch=key)
        return Q(batch=key)

    def _by_workflow(self, term: search.Term) -> Q:
        key = key_or_none(term.value, int)
        if key is None:
            self.problems.append(_('"%(value)s" is no number of a workflow.') % {"value": term.value})
        return Q(batch__in=Batch.objects.filter(workflow=key).values("pk"))

    def _by_schedule(self, term: search.Term) -> Q:
        ticks = ScheduleTick.objects.filter(schedule__name=term.value, run__isnull=False).order_by("-due_at")
        found = list(ticks.values_list("run", flat=True)[: MOST_TICKS + 1])
        if len(found) > MOST_TICKS:
            text = _("Looked at the latest %(count)d runs of the schedule only.")
            self.notes.append(text % {"count": MOST_TICKS})
        if not found:
            self._say_no_schedule(term.value)
        return Q(pk__in=found[:MOST_TICKS])

    def _say_no_schedule(self, name: str) -> None:
        names = list(Schedule.objects.order_by("name").values_list("name", flat=True)[:MOST_TICKS])
        if name not in names:
            text = _('There is no schedule "%(name)s".%(hint)s')
            self.problems.append(text % {"name": name, "hint": did_you_mean(name, names)})

    def _one_of(self, text: str, *, known: list[str], what: str, column: str, strict: bool = False) -> Q:
        values = [value for value in text.split(",") if value]
        for value in values:
            if value not in known:
                self._say_unknown(value, known=known, what=what, strict=strict)
        if len(values) == 1:
            return Q(**{column: values[0]})
        self.windowed = True
        return Q(**{f"{column}__in": values})

    def _say_unknown(self, value: str, *, known: list[str], what: str, strict: bool) -> None:
        hint = did_you_mean(value, known)
        if strict:
            text = _('There is no %(what)s "%(value)s".%(hint)s Known are %(known)s.')
            self.problems.append(text % {"what": what, "value": value, "hint": hint, "known": ", ".join(known)})
            return
        # Runs outlive the queues and jobs of old releases, so this is a note and no refusal.
        text = _('No %(what)s is named "%(value)s" in this release.%(hint)s')
        self.notes.append(text % {"what": what, "value": value, "hint": hint})

    def _by_word(self, term: search.Term) -> Q:
        names = jobs_named(term.value)
        if not names:
            self._say_unknown(term.value, known=_words(), what=_("job"), strict=False)
            return Q(name=term.value)
        self.windowed = self.windowed or len(names) > 1
        return Q(name__in=names)

    def _by_error(self, term: search.Term) -> Q:
        self.windowed = True
        return Q(error_class__icontains=term.value) | Q(error_message__icontains=term.value)

    def _by_worker(self, term: search.Term) -> Q:
        self.windowed = True
        return Q(worker__icontains=term.value)

    def _by_argument(self, term: search.Term) -> Q:
        self.windowed = True
        keys = term.name.removeprefix("args.").split(".")
        if not all(_can_be_key(key) for key in keys):
            return Q(pk__in=[])
        # Built by hand: in a look-up's name an argument called "in" or "a__gt" would be an operator.
        place: Any = "arguments"
        for key in keys:
            place = KeyTransform(key, place)
        alias = f"argument_{len(self.aliases)}"
        self.aliases[alias] = place
        condition = Q()
        for value in search.typed_values(term.value):
            condition |= Q(**{alias: value})
        return condition

    def _by_any_argument(self, term: search.Term) -> Q:
        self.windowed = True
        condition = Q()
        for text in search.json_renderings(term.value):
            for before, after in ((": ", ","), (": ", "}"), ("[", ","), ("[", "]"), (", ", ","), (", ", "]")):
                condition |= Q(arguments_text__contains=f"{before}{text}{after}")
        # The cheap test first: most rows end here.
        return Q(arguments_text__contains=search.json_renderings(term.value)[-1].strip('"')) & condition


_READERS: dict[str, Callable[[RunFilter, search.Term], Q]] = {
    "id": RunFilter._by_id,
    "state": RunFilter._by_state,
    "queue": RunFilter._by_queue,
    "job": RunFilter._by_job,
    "batch": RunFilter._by_batch,
    "workflow": RunFilter._by_workflow,
    "schedule": RunFilter._by_schedule,
    "job?": RunFilter._by_word,
    "error": RunFilter._by_error,
    "worker": RunFilter._by_worker,
    "args": RunFilter._by_argument,
    "arg": RunFilter._by_any_argument,
}


def jobs_named(word: str) -> list[str]:
    """The registered jobs that a bare word means: of exactly this name, else ending in it, else containing it."""
    names = registry.names()
    for means in (
        lambda name: name == word,
        lambda name: name.rpartition(".")[2] == word,
        lambda name: word.lower() in name.lower(),
    ):
        if found := [name for name in names if means(name)]:
            return found
    return []


def first_id_at(moment: datetime) -> uuid.UUID:
    """The least id that a run asked for at `moment` can have: a UUID version 7 begins with its milliseconds."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return uuid.UUID(int=min(milliseconds, 2**48 - 1) << 80)


def time_of(run_id: uuid.UUID) -> datetime:
    """When the run of this id was asked for."""
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, tz=UTC)


def find_run(text: str) -> JobRun | None:
    """The run of this id, ours or RQ's."""
    lookup: dict[str, Any] = {"pk": found} if (found := search.as_uuid(text)) else {"rq_id": text}
    return JobRun.objects.filter(**lookup).only("pk").first()


def _can_be_key(key: str) -> bool:
    """Whether a database can look for it: what reads as a number it takes for a place in a list."""
    try:
        return 0 <= int(key) < _MOST_PLACES
    except ValueError:
        return True


def _words() -> list[str]:
    names = registry.names()
    return names + [name.rpartition(".")[2] for name in names]
