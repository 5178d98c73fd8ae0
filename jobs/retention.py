"""How long ended runs are kept, and how many dead ones. What goes with nobody having decided on it is told: in the log,
in the audit, and on its cause."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from jobs import audit, conf
from jobs.models import DeadJob, FailureCause, JobRun, RunState
from jobs.models.dead import Resolution
from jobs.models.pruning import delete_in_chunks

logger = logging.getLogger(__name__)

ACTOR = "retention"
# Who comes back after a long weekend finds what died in it, however much that is.
SPARED = timedelta(days=3)
_AT_ONCE = 500


def prune(
    *, states: Iterable[str] | None = None, older_than: timedelta | None = None, actor: str = ACTOR
) -> dict[str, int]:
    """Delete ended runs that are older than `JOBS["KEEP_DAYS"]` says, and the oldest dead ones beyond
    `JOBS["KEEP_DEAD"]`, in chunks. Returns counts by state.

    `older_than` replaces the days of every state, and then none is deleted for their number.
    """
    counts: dict[str, int] = {}
    for state, days in _days(states).items():
        rows = _too_old(state, timedelta(days=days) if older_than is None else older_than)
        if state == RunState.DEAD:
            counts[state] = _prune_dead(rows, beyond=older_than is None, actor=actor)
        else:
            counts[state] = delete_in_chunks(rows)
    if any(counts.values()):
        logger.info("runs pruned", extra={"counts": counts})
    return counts


def prunable(*, states: Iterable[str] | None = None, older_than: timedelta | None = None) -> dict[str, int]:
    """How many runs `prune` would delete, by state."""
    counts = {}
    for state, days in _days(states).items():
        too_old = _too_old(state, timedelta(days=days) if older_than is None else older_than)
        counts[state] = too_old.count()
        if state == RunState.DEAD and older_than is None:
            counts[state] = max(counts[state], _beyond())
    return counts


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything; cheaper than to count."""
    return any(_too_old(state, timedelta(days=days)).exists() for state, days in _days().items()) or is_beyond()


def is_beyond() -> bool:
    """Whether there are more dead jobs than are kept, and some of them may go."""
    return is_full() and _unspared().exists()


def is_full() -> bool:
    """Whether there are more dead jobs than are kept, whether or not they may go by now."""
    return _dead()[conf.get().KEEP_DEAD : conf.get().KEEP_DEAD + 1].exists()


def kept_until(died_at: datetime) -> datetime:
    """Until when a dead run is kept for its age."""
    return died_at + timedelta(days=conf.keep_days()["dead"])


def _days(states: Iterable[str] | None = None) -> dict[str, float]:
    chosen = None if states is None else set(states)
    return {state: days for state, days in conf.keep_days().items() if chosen is None or state in chosen}


def _dead() -> QuerySet[JobRun]:
    # As the index has them: the longest dead first. One that was brought back has died anew.
    return JobRun.objects.filter(state=RunState.DEAD).order_by("ended_at")


def _too_old(state: str, age: timedelta) -> QuerySet[JobRun]:
    now = timezone.now()
    rows = JobRun.objects.filter(state=state, ended_at__lt=now - age).order_by("ended_at")
    if state != RunState.DISCARDED:
        return rows
    since = now - timedelta(days=conf.get().UNDO_DAYS)
    undoable = DeadJob.objects.filter(run=OuterRef("pk"), resolution=Resolution.DISCARDED, resolved_at__gt=since)
    return rows.filter(~Exists(undoable))


def _beyond() -> int:
    """How many of the longest dead runs are more than are kept, and may go."""
    if not is_full():
        return 0
    excess = _dead().count() - conf.get().KEEP_DEAD
    return min(excess, _unspared()[:excess].count())


def _unspared() -> QuerySet[JobRun]:
    return _dead().filter(ended_at__lt=timezone.now() - SPARED)


@dataclass
class _Removed:
    """What was removed with nobody having decided on it, by job and by cause."""

    why: str
    by_job: Counter[str] = field(default_factory=Counter)
    by_cause: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.by_job.total()

    def told(self) -> dict[str, dict[str, int]]:
        """For the audit and the log: the commonest."""
        return {"jobs": dict(self.by_job.most_common(20)), "causes": dict(self.by_cause.most_common(20))}


def _prune_dead(too_old: QuerySet[JobRun], *, beyond: bool, actor: str) -> int:
    aged = _Removed("they were kept for as long as is said")
    while _remove(too_old, _AT_ONCE, aged, actor=actor):
        pass
    surplus = _Removed(f'there were more than JOBS["KEEP_DEAD"] ({conf.get().KEEP_DEAD})')
    rest = _beyond() if beyond else 0
    while rest > 0 and (gone := _remove(_unspared(), min(rest, _AT_ONCE), surplus, actor=actor)):
        rest -= gone
    for removed in (aged, surplus):
        _log(removed)
    return aged.count + surplus.count


def _remove(rows: QuerySet[JobRun], most: int, removed: _Removed, *, actor: str) -> int:
    """Delete the first of the rows, with their audit row. Returns how many they were."""
    chunk = _Removed(removed.why)
    with transaction.atomic(using=router.db_for_write(JobRun)):
        keys = list(rows.values_list("pk", flat=True)[:most])
        # Runs before burials, as everybody locks them; asked for anew, for one that was revived meanwhile stays.
        locked = rows.filter(pk__in=keys).order_by("pk").select_for_update().values_list("pk", "name")
        names = dict(locked)
        if not names:
            return 0
        open_ones = list(DeadJob.objects.filter(run__in=names, resolution="").select_related("cause"))
        chunk.by_job.update(names.values())
        chunk.by_cause.update(str(dead_job.cause) for dead_job in open_ones if dead_job.cause)
        _count_on_causes(open_ones)
        JobRun.objects.filter(pk__in=names).delete()
        _audit(chunk, actor=actor)
    removed.by_job += chunk.by_job
    removed.by_cause += chunk.by_cause
    return chunk.count


def _audit(chunk: _Removed, *, actor: str) -> None:
    before = {"state": RunState.DEAD.value}
    audit.record(
        actor=actor, action="remove dead", reason=chunk.why, count=chunk.count, before=before, after=chunk.told()
    )


def _count_on_causes(dead_jobs: Iterable[DeadJob]) -> None:
    counted = Counter(dead_job.cause_id for dead_job in dead_jobs if dead_job.cause_id)
    # In one order, so that nobody waits in a circle.
    for key, count in sorted(counted.items()):
        FailureCause.objects.filter(pk=key).update(removed=F("removed") + count)


def _log(removed: _Removed) -> None:
    if removed.count:
        jobs = ", ".join(f"{count:,} of {name}" for name, count in removed.by_job.most_common(5))
        text = "removed %d dead that nobody had resolved, for %s: %s"
        logger.warning(text, removed.count, removed.why, jobs, extra={"count": removed.count, **removed.told()})


class Watch:
    """Says in the log when there come to be more dead jobs than are kept, before the first of them goes."""

    def __init__(self) -> None:
        self._was_full = False

    def look(self) -> None:
        """Look how many there are. Once they are fewer again, it is said anew."""
        full = is_full()
        if full and not self._was_full:
            text = (
                'There are more dead jobs than JOBS["KEEP_DEAD"] (%d). '
                "The longest dead go three days after their death, unless they are retried or discarded."
            )
            logger.warning(text, conf.get().KEEP_DEAD, extra={"keep_dead": conf.get().KEEP_DEAD})
        self._was_full = full
