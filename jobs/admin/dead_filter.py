"""Which dead jobs an operator means: by a filter, or chosen one by one, and frozen at the preview."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from jobs import batches, bulk, conf, dead, registry
from jobs.admin.keyset import PAGE_SIZE, key_or_none
from jobs.admin.search import parse_iso
from jobs.errors import did_you_mean
from jobs.models import Batch, DeadJob, FailureCause
from jobs.models.dead import DeathReason, Resolution, narrowed
from jobs.policy.ages import parse_age

OPEN, DISCARDED, RESOLVED = "open", "discarded", "resolved"
FIELDS = ("job", "queue", "death", "error", "cause", "batch", "within", "older_than", "bulk", "shown")
# What is asked of the jobs that wait for a person, and of those that are dealt with, and never of the others.
_OF_OPEN, _OF_RESOLVED = "older_than", "bulk"


@dataclass
class DeadFilter:
    """A question about dead jobs, as its URL carries it."""

    asked: dict[str, str]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    older_than: timedelta | None = None
    cause: FailureCause | None = None
    # The one whose members are asked for; by `within`, also the members of those within it.
    batch: Batch | None = None
    bulk: int | None = None

    @classmethod
    def read(cls, query: Mapping[str, str], *, shown: str | None = None) -> DeadFilter:
        """The question in a query string; `shown` says which list, whatever the query does."""
        made = cls({name: value for name in FIELDS if (value := query.get(name, "").strip())})
        if shown is not None:
            made.asked["shown"] = shown
        if made.asked.get("shown") == OPEN:
            del made.asked["shown"]
        # Carried over from the other list; "all matching" must not seem to be narrowed by it.
        made.asked.pop(_OF_RESOLVED if made.is_open else _OF_OPEN, None)
        if job := made.asked.get("job"):
            made.asked["job"] = registry.full_name(job)
        made._read_age()
        made._read_cause()
        made._read_batch()
        made._read_bulk()
        made._check()
        return made

    @property
    def is_open(self) -> bool:
        """Whether the jobs that wait for a person are meant, and not those that are dealt with."""
        return self.asked.get("shown") not in (DISCARDED, RESOLVED)

    @property
    def is_discarded(self) -> bool:
        """Whether those are meant that a person discarded."""
        return self.asked.get("shown") == DISCARDED

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for beside which of the lists."""
        return any(name != "shown" for name in self.asked)

    def rows(self) -> QuerySet[DeadJob]:
        """The dead jobs asked for; none while the question is not understood."""
        if self.problems:
            return DeadJob.objects.none()
        return self.open_rows() if self.is_open else self._resolved_rows()

    def open_rows(self) -> QuerySet[DeadJob]:
        """Those of them that wait for a person, oldest first."""
        return dead.matching(**self.words())

    def words(self) -> dict[str, Any]:
        """The same question of those that wait, as `dead.matching` and a bulk action take it."""
        return self._columns() | {"older_than": self.older_than}

    def words_of_discarded(self) -> dict[str, Any]:
        """The same question of those that were discarded, as `discards.undoable` and a bulk action take it."""
        return self._columns() | {"bulk": self.bulk}

    def _columns(self) -> dict[str, Any]:
        return {
            "name": self.asked.get("job"),
            "queue": self.asked.get("queue"),
            "reason": self.asked.get("death"),
            "error": self.asked.get("error"),
            "cause": self.cause.pk if self.cause else None,
            "batch": self.batch.pk if self.batch and "batch" in self.asked else None,
            "batches": batches.tree(self.batch) if self.batch and "within" in self.asked else None,
        }

    def query(self) -> str:
        """The question as a query string."""
        return urlencode(self.asked)

    def _resolved_rows(self) -> QuerySet[DeadJob]:
        rows = DeadJob.objects.exclude(resolution="")
        if self.is_discarded:
            rows = rows.filter(resolution=Resolution.DISCARDED)
        words = self.words_of_discarded()
        within = words.pop("batches")
        rows = narrowed(rows, run__batch=words.pop("batch"), **words)
        return rows if within is None else rows.filter(run__batch__in=within)

    def _read_age(self) -> None:
        try:
            self.older_than = parse_age(text) if (text := self.asked.get("older_than")) else None
        except ValueError as error:
            self.problems.append(str(error))

    def _read_cause(self) -> None:
        if text := self.asked.get("cause"):
            self.cause = FailureCause.objects.filter(pk=key_or_none(text, int)).first()
            if self.cause is None:
                self.problems.append(_('There is no cause "%(value)s" any more.') % {"value": text})

    def _read_batch(self) -> None:
        if text := self.asked.get("within") or self.asked.get("batch"):
            self.batch = Batch.objects.filter(pk=key_or_none(text, int)).only("name").first()
            if self.batch is None:
                self.problems.append(_('There is no batch "%(value)s" any more.') % {"value": text})

    def _read_bulk(self) -> None:
        if text := self.asked.get("bulk"):
            self.bulk = key_or_none(text, int)
            if self.bulk is None:
                self.problems.append(_('"%(value)s" is no number of a bulk action.') % {"value": text})

    def _check(self) -> None:
        for name, known in (("job", registry.names()), ("queue", conf.queue_names())):
            value = self.asked.get(name)
            if value and value not in known:
                # Dead jobs outlive the queues and jobs of old releases, so this is a note and no refusal.
                text = _('No %(what)s is named "%(value)s" in this release.%(hint)s')
                self.notes.append(text % {"what": name, "value": value, "hint": did_you_mean(value, known)})
        reason = self.asked.get("death")
        if reason and reason not in DeathReason.values:
            text = _('There is no reason "%(value)s".%(hint)s')
            self.problems.append(text % {"value": reason, "hint": did_you_mean(reason, DeathReason.values)})


@dataclass(frozen=True)
class Selection:
    """The open dead jobs that a bulk action is about.

    With `by_hand` it is the rows of `keys`, chosen one by one; else all that the filter matches. `up_to` and `as_of`
    are set when it is shown: what dies, or comes of age, after that stays out.
    """

    filter: DeadFilter
    keys: tuple[int, ...] = ()
    by_hand: bool = False
    up_to: int | None = None
    as_of: datetime | None = None

    @classmethod
    def read(cls, query: QueryDict) -> Selection:
        """The selection in a query string or a form."""
        chosen = query.getlist("id")[: 2 * PAGE_SIZE]
        keys = tuple(key for text in chosen if (key := key_or_none(text, int)) is not None)
        return cls(
            filter=DeadFilter.read(query, shown=OPEN),
            keys=keys,
            by_hand="chosen" in query,
            up_to=key_or_none(query.get("up_to"), int),
            as_of=key_or_none(query.get("as_of"), parse_iso),
        )

    @property
    def is_frozen(self) -> bool:
        """Whether it was shown to somebody."""
        return self.up_to is not None and self.as_of is not None

    def frozen(self, now: datetime) -> Selection:
        """This selection as it is now."""
        newest = DeadJob.objects.order_by("-pk").values_list("pk", flat=True).first()
        return replace(self, up_to=newest or 0, as_of=now)

    def rows(self) -> QuerySet[DeadJob]:
        """The dead jobs meant that are still open, oldest first."""
        if self.filter.problems:
            return DeadJob.objects.none()
        rows = self.filter.open_rows().filter(pk__lte=self.up_to)
        if self.by_hand:
            rows = rows.filter(pk__in=self.keys)
        if self.as_of and self.filter.older_than:
            rows = rows.filter(died_at__lt=self.as_of - self.filter.older_than)
        return rows

    def for_bulk(self) -> bulk.Selection:
        """The same, for what works in the background."""
        if self.by_hand:
            return bulk.Selection(keys=self.keys)
        words = self.filter.words()
        if self.as_of and (age := words.pop("older_than")):
            words["died_before"] = (self.as_of - age).isoformat()
        return bulk.Selection(words)

    def for_audit(self) -> dict[str, Any]:
        """What the audit keeps of it."""
        if self.by_hand:
            return {"chosen": list(self.keys)}
        return {**self.filter.asked, "all up to": self.up_to}
