"""The rows of unique jobs, and what becomes of an asking that meets an equal run. `policy.uniqueness` decides.

1. Equal calls of one asking collapse into one.
2. Of a job that is unique for a time, the key is held for its period. (`holds`)
3. The row is inserted, unless an equal run that is pending has the key: a constraint says so.
4. Whoever meets an equal run gets it, raises, takes its place, or lets its key go because it has begun; then 2 again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from jobs import runs
from jobs.broker.inspect import begun
from jobs.drafts import Asking
from jobs.errors import AlreadyPending, BrokerUnavailable, NotCancellable
from jobs.handles import Run, run_of
from jobs.models import JobRun, RunState
from jobs.models.insertion import NewRun, insert
from jobs.models.runs import PENDING_STATES
from jobs.policy import uniqueness
from jobs.policy.uniqueness import Holder, Unique
from jobs.uniques import holds

# An equal run that ends between our look and our insert makes us look again.
_TRIES = 5
_REPLACED_BY = "unique job"


@dataclass
class Written:
    """What became of some runs of a unique job: those that stand for others, by the id of the one not written.

    `waiting` are ids of those for which a run was given that had not begun; it may begin before the caller commits.
    """

    equal: dict[str, Run] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


def write(asking: Asking, some: Sequence[NewRun], *, using: str) -> Written:
    """Write the rows of a unique job's runs, without those for which an equal run stands.

    Raises `AlreadyPending` where that was chosen, `BrokerUnavailable` where a run is to be replaced and Redis is away.
    """
    unique = asking.job.options.unique
    assert unique is not None
    without_key = [run for run in some if run.unique_key is None]
    if without_key:
        insert(without_key, asking.shared(), using=using)
    keyed = [run for run in some if run.unique_key is not None]
    chosen, twins = uniqueness.collapse(keyed, lambda run: run.unique_key, last=unique.on_conflict == "replace")
    writing = _Writing(asking, unique, using)
    writing.write(chosen)
    for twin, standing in twins:
        writing.written.equal[twin.id] = writing.written.equal.get(standing.id) or _handle(asking, standing)
    return writing.written


class _Writing:
    def __init__(self, asking: Asking, unique: Unique, using: str) -> None:
        self._asking = asking
        self._unique = unique
        self._using = using
        self.written = Written()

    def write(self, rest: Sequence[NewRun]) -> None:
        for _ in range(_TRIES):
            rest = self._write_some(rest)
            if not rest:
                return
        raise BrokerUnavailable(f"{self._asking.job.name}: equal runs came and went {_TRIES} times; try again.")

    def _write_some(self, some: Sequence[NewRun]) -> list[NewRun]:
        """Write what can be written; returns the runs that are to be tried again."""
        held, unsure = self._held(some)
        free = [run for run in some if run.unique_key not in held and run.unique_key not in unsure]
        if free:
            insert(free, self._asking.shared(), using=self._using, ignore_conflicts=True)
        there = self._pending([run.unique_key for run in free]) | held
        ours = {run.id for run in free if run.unique_key in there and str(there[run.unique_key].pk) == run.id}
        rest = [run for run in some if run.id not in ours]
        meetings = [(run, there[run.unique_key]) for run in rest if run.unique_key in there]
        given = self._meet(meetings, kept=held.keys()) if meetings else set()
        return [run for run in rest if run.id not in given]

    def _held(self, some: Sequence[NewRun]) -> tuple[dict[str | None, JobRun], set[str | None]]:
        """The runs that keep these out for their period, by key; and the keys of which that is not sure."""
        if self._unique.lasting is None:
            return {}, set()
        taken = holds.take(some, self._unique.lasting, using=self._using)
        rows = JobRun.objects.using(self._using).defer("payload").in_bulk(list(taken.by_others.values()))
        # One that is gone was pruned: it succeeded long ago.
        facts = {"name": self._asking.job.name, "queue": self._asking.queue, "state": RunState.SUCCEEDED}
        return {
            key: rows.get(run_id) or JobRun(id=run_id, **facts) for key, run_id in taken.by_others.items()
        }, taken.unsure

    def _pending(self, unique_keys: Sequence[str | None]) -> dict[str | None, JobRun]:
        if not unique_keys:
            return {}
        pending = JobRun.objects.using(self._using).filter(unique_key__in=unique_keys, state__in=PENDING_STATES)
        facts = ("unique_key", "name", "queue", "due_at", "state", "attempts", "life", "rq_id")
        return {row.unique_key: row for row in pending.only(*facts)}

    def _meet(self, meetings: Sequence[tuple[NewRun, JobRun]], *, kept: Set[str | None]) -> set[str]:
        """Do what follows of each; returns the ids of the runs for which an equal one is given.

        Of the `kept` keys a period is not over: that their run has begun frees none of them.
        """
        if self._unique.on_conflict == "replace":
            # All of them before the first ends: that locks its batch, and whoever records locks runs before batches.
            runs.lock(row.pk for _, row in meetings)
        places = self._places([row for _, row in meetings])
        given = set()
        for run, row in meetings:
            is_over = run.unique_key in kept and places[row.pk] != "waiting"
            if self._follow(run, row, "ended" if is_over else places[row.pk]):
                given.add(run.id)
        return given

    def _follow(self, run: NewRun, row: JobRun, holder: Holder) -> bool:
        """Whether the equal run is given."""
        # What was asked for by this very call is one with it.
        step = uniqueness.step(self._unique, holder)
        if step == "raise" and self._asking.has(row.pk):
            step = "give"
        if step == "give":
            self._give(run, row, holder)
        elif step == "raise":
            raise already_pending(row)
        elif step == "replace":
            self._replace(run, row)
        else:
            JobRun.objects.using(self._using).filter(pk=row.pk, unique_key=run.unique_key).update(unique_key=None)
        return step == "give"

    def _give(self, run: NewRun, row: JobRun, holder: Holder) -> None:
        self.written.equal[run.id] = run_of(row, created=False)
        if holder == "waiting" and self._unique.until == "started":
            self.written.waiting.add(run.id)
        if self._unique.lasting is not None:
            holds.hand_over(run, row.pk, using=self._using)

    def _replace(self, run: NewRun, row: JobRun) -> None:
        try:
            runs.cancel(row, actor=_REPLACED_BY, reason=f"replaced by {run.id}")
        except NotCancellable as error:
            # Redis knows better than the row: it has begun.
            if uniqueness.step(self._unique, "started") == "raise":
                raise already_pending(row) from error

    def _places(self, rows: Sequence[JobRun]) -> dict[uuid.UUID, Holder]:
        """Where each of the runs is: by its row, and by Redis where a start that the row has not heard of matters."""
        places = {row.pk: _by_row(row) for row in rows}
        asked = [row for row in rows if places[row.pk] == "waiting"] if self._unique.until == "started" else []
        if asked:
            starts = have_begun(asked)
            places |= {row.pk: "started" for row in asked if row.pk in starts}
        return places


def have_begun(rows: Sequence[JobRun]) -> set[uuid.UUID]:
    """Those of the pending runs that have begun, in one round trip; all of them where Redis does not say.

    Rather one run too many than a change that no run sees.
    """
    if not rows:
        return set()
    try:
        answers = begun([(row.rq_id, row.life) for row in rows])
    except BrokerUnavailable:
        return {row.pk for row in rows}
    return {row.pk for row, has_begun in zip(rows, answers, strict=True) if has_begun}


def begun_since(run_ids: Iterable[uuid.UUID], *, using: str) -> set[uuid.UUID]:
    """Those of the runs that have begun by now, or ended, or are gone."""
    wanted = set(run_ids)
    rows = list(JobRun.objects.using(using).filter(pk__in=wanted, state__in=PENDING_STATES).defer("payload"))
    waiting = [row for row in rows if _by_row(row) == "waiting"]
    return wanted - ({row.pk for row in waiting} - have_begun(waiting))


def _handle(asking: Asking, run: NewRun) -> Run:
    return Run(uuid.UUID(run.id), asking.job.name, asking.queue, asking.due_at, created=False)


def _by_row(row: JobRun) -> Holder:
    if row.state not in PENDING_STATES:
        return "ended"
    has_begun = row.state in (RunState.RUNNING, RunState.RETRYING) or row.attempts > 0
    return "started" if has_begun else "waiting"


def already_pending(row: JobRun) -> AlreadyPending:
    """The error for whoever meets this run."""
    state = RunState(row.state).label
    return AlreadyPending(
        run_of(row, created=False),
        f"{row.name}: an equal run, {row.pk}, is {state}. Wait for its end, or choose another on_conflict.",
    )
