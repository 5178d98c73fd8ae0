"""What each qualifier of the search box means for the rows of runs. Each question on the way has a bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F, Q, Value
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Concat
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs import conf, registry
from jobs.admin import search
from jobs.admin.keyset import WINDOW, key_or_none, window_start
from jobs.admin.run_arguments import any_of, by_any_argument, by_argument
from jobs.admin.search import Term
from jobs.errors import did_you_mean
from jobs.models import Batch, FailureCause, JobAttempt, JobRun, RunState, Schedule, ScheduleTick
from jobs.policy.comparing import compared_count, compared_length

# A tick knows its run and no run its tick, so the runs of a schedule are asked for by their ids.
MOST_TICKS = 1000
# An error that is in more causes than that is no error but a word.
MOST_CAUSES = 100
# Failed attempts of the causes that are meant, the latest ones.
MOST_FAILURES = 10_000
# Runs that Redis has not heard of, the oldest ones.
MOST_UNPUSHED = 10_000
UNPUSHED = "unpushed"
_TEXTS = ("name", "queue", "state")


@dataclass
class Reading:
    """What terms say, as they are read one after the other.

    `served` has those that an index serves in the order of the list, by their qualifier; they are asked for
    apart. `is_windowed` where one is served by none, and then only the latest runs are looked at.
    """

    now: datetime
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    served: dict[str, Q] = field(default_factory=dict)
    aliases: dict[str, KeyTransform | Concat] = field(default_factory=dict)
    is_windowed: bool = False
    after: datetime | None = None
    before: datetime | None = None

    def condition(self, term: Term) -> Q:
        """What a term asks of a row."""
        found = _READERS["args" if term.name.startswith("args.") else term.name](self, term)
        if not term.negated:
            return found
        self.is_windowed = True
        return ~found

    def equal(self, term: Term, column: str, values: Sequence[Any]) -> Q:
        """Rows whose column has one of the values: one is looked up by its index, several among the latest runs."""
        if len(values) == 1:
            condition = Q(**{column: values[0]})
            if term.negated or term.name in self.served:
                return condition
            self.served[term.name] = condition
            return Q()
        self.is_windowed = True
        return Q(**{f"{column}__in": values})

    def without_index(self, condition: Q) -> Q:
        """The same, said so that no index serves it: databases that know no counts take the first one, however wide."""
        ((column, value),) = list(condition.children)  # type: ignore[misc]
        if column not in _TEXTS:
            return condition
        alias = f"{column}_as_text"
        self.aliases[alias] = Concat(F(column), Value(""))
        return Q(**{alias: value})

    def unknown(self, value: str, *, known: Sequence[str], what: str, strict: bool = False) -> None:
        """Say that there is no such thing, and which is the nearest. Strictly, nothing is searched then."""
        hint = did_you_mean(value, known)
        if strict:
            text = _('There is no %(what)s "%(value)s".%(hint)s Known are %(known)s.')
            self.problems.append(text % {"what": what, "value": value, "hint": hint, "known": ", ".join(known)})
            return
        # Runs outlive the queues and jobs of old releases, so this is a note and no refusal.
        text = _('No %(what)s is named "%(value)s" in this release.%(hint)s')
        self.notes.append(text % {"what": what, "value": value, "hint": hint})


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


def find_run(text: str) -> JobRun | None:
    """The run of this id, ours or RQ's."""
    lookup: dict[str, Any] = {"pk": found} if (found := search.as_uuid(text)) else {"rq_id": text}
    return JobRun.objects.filter(**lookup).only("pk").first()


def _id(reading: Reading, term: Term) -> Q:
    found = [each for value in term.values if (each := search.as_uuid(value))]
    return Q(pk__in=found) | Q(rq_id__in=term.values) if found else Q(rq_id__in=term.values)


def _state(reading: Reading, term: Term) -> Q:
    for value in set(term.values) - set(RunState.values):
        reading.unknown(value, known=RunState.values, what=_("state"), strict=True)
    return reading.equal(term, "state", term.values)


def _is(reading: Reading, term: Term) -> Q:
    known = [UNPUSHED]
    for value in set(term.values) - set(known):
        reading.unknown(value, known=known, what=_("way for a run to be"), strict=True)
    # The index of what the relay looks for has them.
    waiting = JobRun.objects.filter(pushed_at__isnull=True, state__in=["queued", "scheduled", "retrying"])
    return Q(pk__in=waiting.order_by("pk").values("pk")[:MOST_UNPUSHED])


def _queue(reading: Reading, term: Term) -> Q:
    known = conf.queue_names()
    for value in sorted(set(term.values) - set(known)):
        reading.unknown(value, known=known, what=_("queue"))
    return reading.equal(term, "queue", term.values)


def _job(reading: Reading, term: Term) -> Q:
    names = [registry.full_name(value) for value in term.values]
    for name in sorted(set(names) - set(registry.names())):
        reading.unknown(name, known=registry.names(), what=_("job"))
    return reading.equal(term, "name", names)


def _word(reading: Reading, term: Term) -> Q:
    names: list[str] = []
    for word in term.values:
        found = jobs_named(word)
        if not found and find_run(word) is not None:
            return Q(rq_id=word)
        if not found:
            known = registry.names()
            reading.unknown(word, known=known + [name.rpartition(".")[2] for name in known], what=_("job"))
        names += found or [word]
    return reading.equal(term, "name", names)


def _numbers(reading: Reading, term: Term, problem: str) -> list[int]:
    numbers = [key_or_none(value, int) for value in term.values]
    for value, number in zip(term.values, numbers, strict=True):
        if number is None:
            reading.problems.append(problem % {"value": value})
    return [number for number in numbers if number is not None]


def _batch(reading: Reading, term: Term) -> Q:
    numbers = _numbers(reading, term, _('"%(value)s" is no number of a batch.'))
    return reading.equal(term, "batch", numbers) if numbers else Q()


def _workflow(reading: Reading, term: Term) -> Q:
    numbers = _numbers(reading, term, _('"%(value)s" is no number of a workflow.'))
    # Numbers, and no subquery: of that, PostgreSQL may think that most runs are in it, and go through all of them.
    return Q(batch__in=list(Batch.objects.filter(workflow__in=numbers).values_list("pk", flat=True)))


def _schedule(reading: Reading, term: Term) -> Q:
    ticks = ScheduleTick.objects.filter(schedule__name__in=term.values, run__isnull=False).order_by("-due_at")
    found = list(ticks.values_list("run", flat=True)[: MOST_TICKS + 1])
    if len(found) > MOST_TICKS:
        reading.notes.append(
            _("Looked at the latest %(count)d runs of the schedule only.") % {"count": MOST_TICKS},
        )
    if not found:
        known = list(Schedule.objects.order_by("name").values_list("name", flat=True)[:MOST_TICKS])
        for name in sorted(set(term.values) - set(known)):
            text = _('There is no schedule "%(name)s".%(hint)s')
            reading.problems.append(text % {"name": name, "hint": did_you_mean(name, known)})
    return Q(pk__in=found[:MOST_TICKS])


def _cause(reading: Reading, term: Term) -> Q:
    numbers = [key_or_none(value, int) for value in term.values if len(value) < 32]
    by_name = Q(pk__in=[number for number in numbers if number is not None]) | Q(fingerprint__in=term.values)
    causes = list(FailureCause.objects.filter(by_name))
    if len(causes) < len(set(term.values)):
        told = {str(cause.pk) for cause in causes} | {cause.fingerprint for cause in causes}
        for value in sorted(set(term.values) - told):
            reading.problems.append(_('There is no cause "%(value)s" any more.') % {"value": value})
    return _of_causes(reading, causes)


def _error(reading: Reading, term: Term) -> Q:
    """Among the causes, and the runs of these; what no cause tells of, among the latest runs."""
    words = Q()
    for value in term.values:
        words |= Q(error_class__icontains=value) | Q(message__icontains=value)
    causes = [] if term.negated else list(FailureCause.objects.filter(words).order_by("-last_seen_at")[:MOST_CAUSES])
    if causes:
        reading.notes.append(_("Runs that failed so at any attempt, by the causes of failures."))
        return _of_causes(reading, causes)
    reading.is_windowed = True
    told = Q()
    for value in term.values:
        told |= Q(error_class__icontains=value) | Q(error_message__icontains=value)
    return told


def _of_causes(reading: Reading, causes: Sequence[FailureCause]) -> Q:
    # The index leaves out those that have none, and SQLite wants that said.
    failures = JobAttempt.objects.filter(fingerprint__in=[cause.fingerprint for cause in causes]).exclude(
        fingerprint=""
    )
    count = sum(cause.count for cause in causes)
    if count > MOST_FAILURES:
        text = _("Looked at the latest %(count)s failures of these causes only.")
        reading.notes.append(text % {"count": number_format(MOST_FAILURES, force_grouping=True)})
    # Of one cause the index has them in order; of several they are sorted first.
    if len(causes) > 1 and count > WINDOW and (oldest := window_start(JobRun.objects.all())):
        failures = failures.filter(run__gte=oldest)
    return Q(pk__in=failures.order_by("-run").values("run")[:MOST_FAILURES])


def _worker(reading: Reading, term: Term) -> Q:
    reading.is_windowed = True
    return any_of(term, lambda value: Q(worker__icontains=value))


def _release(reading: Reading, term: Term) -> Q:
    reading.is_windowed = True
    return Q(release__in=term.values)


def _request(reading: Reading, term: Term) -> Q:
    # The index leaves out those that have none, and SQLite wants that said.
    return reading.equal(term, "correlation", term.values) & ~Q(correlation="")


def _subject(reading: Reading, term: Term) -> Q:
    return reading.equal(term, "subject", term.values)


def _moment(reading: Reading, term: Term) -> Q:
    # Ids begin with the time of asking, so the primary key serves as the index on time; see `RunFilter`.
    try:
        if term.only is None:
            raise ValueError(_("%(name)s: takes one time, and no hyphen before it.") % {"name": term.name})
        moment = search.parse_moment(term.value, now=reading.now)
    except ValueError as error:
        reading.problems.append(str(error))
        return Q()
    assert moment
    if term.name == "after":
        reading.after = max(reading.after or moment, moment)
    else:
        reading.before = min(reading.before or moment, moment)
    return Q()


def _compared(column: str, read: Callable[[str], Any]) -> Callable[[Reading, Term], Q]:
    def reader(reading: Reading, term: Term) -> Q:
        reading.is_windowed = True
        try:
            found = [read(value) for value in term.values]
        except ValueError as error:
            reading.problems.append(f"{term.name}: {error}")
            return Q()
        condition = Q()
        for each in found:
            condition |= Q(**{f"{column}__{each.operator}": each.value})
        return condition

    return reader


_READERS: dict[str, Callable[[Reading, Term], Q]] = {
    "id": _id,
    "job?": _word,
    "job": _job,
    "queue": _queue,
    "is": _is,
    "state": _state,
    "args": by_argument,
    "arg": by_any_argument,
    "error": _error,
    "worker": _worker,
    "batch": _batch,
    "workflow": _workflow,
    "schedule": _schedule,
    "cause": _cause,
    "release": _release,
    "request": _request,
    "subject": _subject,
    "after": _moment,
    "before": _moment,
    "waited": _compared("wait_ms", compared_length),
    "took": _compared("run_ms", compared_length),
    "attempts": _compared("attempts", compared_count),
}
