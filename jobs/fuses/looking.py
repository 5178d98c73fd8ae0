"""What people see of fuses, and what one would catch. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from jobs import conf, registry
from jobs.broker import fuses as copies
from jobs.errors import BrokerUnavailable
from jobs.models import Fuse, JobRun, RunState
from jobs.policy import fusing
from jobs.policy.fusing import Condition, Where

# Counting further costs more than it tells.
COUNT_CAP = 10_000
_WAITING = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)


@dataclass(frozen=True)
class Preview:
    """How many waiting runs a fuse would catch as they come to start, by queue; `capped`: there are more."""

    by_queue: dict[str, int] = field(default_factory=dict)
    capped: bool = False

    @property
    def count(self) -> int:
        return sum(self.by_queue.values())


def conditions_of(name: str, where: Where) -> list[Condition]:
    """What the runs must look like. Raises `BadFuse`, and `UnknownJob` for one that is unknown and has no rows."""
    known = registry.find(name)
    if known is not None:
        return fusing.conditions(known.signature, where, job=name, sensitive=known.options.sensitive)
    # Runs outlive the code of old releases.
    if where or not JobRun.objects.filter(name=name).exists():
        registry.get(name)
    return []


def preview(job: str, where: Where | None = None) -> Preview:
    """What a fuse would catch of the runs that wait now. Raises `BadFuse` or `UnknownJob`. Changes nothing."""
    name = registry.full_name(job)
    rows = waiting(name, conditions_of(name, where or {}))
    queues = list(rows.values_list("queue", flat=True)[: COUNT_CAP + 1])
    return Preview(dict(Counter(queues[:COUNT_CAP])), capped=len(queues) > COUNT_CAP)


def examples(job: str, where: Where | None = None, *, most: int) -> list[JobRun]:
    """Some of those, the latest first. Raises as `preview` does."""
    name = registry.full_name(job)
    return list(waiting(name, conditions_of(name, where or {})).defer("payload", "result").order_by("-pk")[:most])


def waiting(name: str, conditions: Iterable[Condition]) -> QuerySet[JobRun]:
    """The waiting runs of a job that meet these conditions, as their rows tell."""
    rows = JobRun.objects.filter(name=name, state__in=_WAITING)
    for number, one in enumerate(conditions):
        # Built by hand: in a look-up's name an argument called "in" would be an operator.
        alias = f"argument_{number}"
        rows = rows.alias(**{alias: KeyTransform(one.parameter, "arguments")})
        meets = Q(**{f"{alias}__isnull": False, alias: one.value})
        if one.value is None:
            meets = Q(**{alias: None})
        if one.fits_default:
            meets |= Q(**{f"{alias}__isnull": True})
        rows = rows.filter(meets)
    return rows


def active() -> QuerySet[Fuse]:
    """The fuses that keep runs from starting."""
    return Fuse.objects.filter(ended_at__isnull=True, expires_at__gt=timezone.now())


def holders(runs: Sequence[JobRun]) -> dict[UUID, Fuse]:
    """The fuse that keeps each of these runs from starting, by the run's id; nothing where Redis cannot say."""
    may_wait = [run for run in runs if run.state in _WAITING]
    there = {fuse.pk: fuse for fuse in Fuse.objects.filter(released_at__isnull=True)} if may_wait else {}
    try:
        found = copies.fuses_of([run.rq_id for run in may_wait]) if there else {}
    except BrokerUnavailable:
        return {}
    return {run.pk: there[found[run.rq_id]] for run in may_wait if found.get(run.rq_id) in there}


def caught(fuses: Sequence[Fuse]) -> dict[int, dict[str, int]]:
    """How many runs each of these keeps from starting now, by queue. Raises `BrokerUnavailable`."""
    return copies.caught([fuse.pk for fuse in fuses], conf.queue_names())
