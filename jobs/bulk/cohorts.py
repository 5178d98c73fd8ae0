"""How the runs fare that a bulk action let go: read from their rows, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Case, CharField, Count, F, Q, Value, When
from django.db.models.query import QuerySet
from django.utils import timezone

from jobs import circuits, registry
from jobs.broker import inspect
from jobs.bulk import selections
from jobs.models import BulkAction, DeadJob, RunState
from jobs.policy.ramp import JUDGED, WINDOW, Cohort, Signs

OK, FAILED, WAITING, OTHER = "ok", "failed", "waiting", "other"
# Whose queues and circuits are looked at before any of them goes.
_AHEAD = 20
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_IN_ITS_LIFE = Q(run__life=F("life") + 1)
_FATE = Case(
    When(Q(run__life__gt=F("life") + 1), then=Value(FAILED)),
    When(_IN_ITS_LIFE & Q(run__state__in=[RunState.SUCCEEDED, RunState.DISCARDED]), then=Value(OK)),
    When(_IN_ITS_LIFE & Q(run__state__in=[RunState.DEAD, RunState.RETRYING]), then=Value(FAILED)),
    When(_IN_ITS_LIFE & Q(run__state=RunState.CANCELLED), then=Value(OTHER)),
    # It has failed, and is at it again.
    When(_IN_ITS_LIFE & Q(run__attempts__gt=1), then=Value(FAILED)),
    default=Value(WAITING),
    output_field=CharField(),
)


@dataclass(frozen=True)
class Watched:
    """The latest of a cohort, and the signs around it."""

    cohort: Cohort
    signs: Signs


def watch(action: BulkAction) -> Watched:
    """What `ramp.decide` wants to know. Raises `BrokerUnavailable`."""
    latest = list(_latest(action))
    places = {(name, queue) for _, _, name, queue in latest} | set(_ahead(action))
    return Watched(_judged(latest), _signs(places))


def totals(action: BulkAction) -> Cohort:
    """How all of it has fared until now, from its beginning."""
    counts = members(action).annotate(fate=_FATE).order_by().values("fate").annotate(count=Count("pk"))
    found = {each["fate"]: each["count"] for each in counts}
    return Cohort(found.get(OK, 0), found.get(FAILED, 0), found.get(WAITING, 0))


def failed(action: BulkAction) -> QuerySet[DeadJob]:
    """Those of them that failed again, the latest first, each with its run."""
    return members(action).annotate(fate=_FATE).filter(fate=FAILED).select_related("run").order_by("-pk")


def members(action: BulkAction) -> QuerySet[DeadJob]:
    """The dead jobs that the action let go."""
    return DeadJob.objects.filter(bulk=action)


def _latest(action: BulkAction) -> Iterable[tuple[str, datetime | None, str, str]]:
    watched = members(action).filter(pk__gt=int(action.watched_from or 0)).annotate(fate=_FATE).order_by("-pk")
    return watched.values_list("fate", "run__started_at", "name", "queue")[:WINDOW]


def _ahead(action: BulkAction) -> Iterable[tuple[str, str]]:
    return selections.rows(action).values_list("name", "queue")[:_AHEAD]


def _judged(latest: list[tuple[str, datetime | None, str, str]]) -> Cohort:
    decided = sorted(((started or _EVER, fate) for fate, started, _, _ in latest if fate in (OK, FAILED)), reverse=True)
    counts = Counter(fate for _, fate in decided[:JUDGED])
    return Cohort(counts[OK], counts[FAILED], sum(fate == WAITING for fate, *_ in latest))


def _signs(places: set[tuple[str, str]]) -> Signs:
    waits = inspect.waits_now(sorted({queue for _, queue in places}))
    queue = max(waits, key=lambda name: waits[name], default="")
    return Signs(waits.get(queue, 0.0), open_circuit({name for name, _ in places}), queue)


def open_circuit(names: set[str]) -> str:
    """The circuit of one of these jobs that is open; empty when there is none.

    One that may be tried again is not: who is let go is its probe.
    """
    jobs = [job for name in names if (job := registry.find(name)) is not None]
    wanted = sorted({job.options.circuit for job in jobs if job.options.circuit})
    now = timezone.now()
    for status in circuits.statuses(wanted) if wanted else []:
        if status.phase == "open" and (status.probed_at is None or status.probed_at > now):
            return status.name
    return ""
