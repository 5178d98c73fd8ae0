"""What entries change on whole rows, gathered before anything is written. Any entry can be stored this way."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction

from jobs import callbacks, runs
from jobs.broker.journal import Entry
from jobs.callbacks import Callback
from jobs.metrics import Minutes
from jobs.models import DeadJob, JobAttempt, JobProgress, JobRun, RunState
from jobs.models.runs import ENDED_STATES
from jobs.policy import ids, progress
from jobs.policy.storable import LARGEST
from jobs.recorder import rows
from jobs.recorder.causes import Failures
from jobs.recorder.rows import moment
from jobs.signals import job_buried, job_finished

logger = logging.getLogger(__name__)

# What was counted of runs that have no entries of their own.
_FIGURES = "figures"
_STATE_AFTER = {
    "done": RunState.SUCCEEDED,
    "retry": RunState.RETRYING,
    "put off": RunState.SCHEDULED,
    "bury": RunState.DEAD,
    "discard": RunState.DISCARDED,
    "cancel": RunState.CANCELLED,
    "hand back": RunState.QUEUED,
    "isolate": RunState.QUEUED,
}


@dataclass
class _Batch:
    """What some entries change, gathered before anything is written."""

    minutes: Minutes
    rows: dict[str, JobRun] = field(default_factory=dict)
    fresh: list[JobRun] = field(default_factory=list)
    changed: dict[uuid.UUID, JobRun] = field(default_factory=dict)
    attempts: list[JobAttempt] = field(default_factory=list)
    dead: list[DeadJob] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)
    finished: list[tuple[JobRun, str]] = field(default_factory=list)
    # By run: of several attempts of one, the latest counts.
    progress: dict[uuid.UUID, JobProgress] = field(default_factory=dict)
    # By the token of their attempt.
    callbacks: list[tuple[str, Callback]] = field(default_factory=list)


def store(entries: Sequence[Entry], minutes: Minutes) -> None:
    """Write what the entries say, in the transaction that is open, and add them to the figures of `minutes`.

    Raises what an unfit entry brings about.
    """
    batch = _Batch(minutes, rows=_lock_rows(entries))
    for entry in entries:
        _apply(entry, batch)
    _write(batch)
    transaction.on_commit(lambda: _tell(batch), using=router.db_for_write(JobRun))


def _lock_rows(entries: Sequence[Entry]) -> dict[str, JobRun]:
    rq_ids = {str(entry.data["run"]) for entry in entries if entry.data and "run" in entry.data} - {""}
    ours = {uuid.UUID(rq_id) for rq_id in rq_ids if ids.is_as_text(rq_id)}
    # A run of plain RQ is told of by its row's id.
    found = {str(row.pk): row for row in runs.lock(ours)}
    # Foreign ids are arbitrary and may come again: the latest row of that id is meant.
    foreign = JobRun.objects.select_for_update().filter(rq_id__in=rq_ids - found.keys()).order_by("pk")
    return found | {row.rq_id: row for row in foreign}


def _apply(entry: Entry, batch: _Batch) -> None:
    if entry.kind == "wake":
        return
    if entry.kind == _FIGURES:
        batch.minutes.counted((entry.data or {})["sums"])
        return
    if entry.data is None or "run" not in entry.data:
        logger.error("journal entry cannot be read", extra={"position": entry.position})
        return
    row = batch.rows.get(str(entry.data["run"]))
    if row is None or _is_namesake(row, entry.data):
        row = _fresh_row(entry, batch)
    if row is None:
        return
    if entry.kind == "missing":
        _lost(row, batch)
    elif row.life == entry.data.get("life"):
        change = {"started": _started, "settled": _settled}.get(entry.kind)
        if change is not None:
            change(row, entry, batch)


def _is_namesake(row: JobRun, data: dict[str, Any]) -> bool:
    """Whether the entry tells of a later run of a foreign id: plain RQ lets an id come again."""
    facts = data.get("row")
    return facts is not None and row.state in ENDED_STATES and facts["id"] != str(row.pk)


def _fresh_row(entry: Entry, batch: _Batch) -> JobRun | None:
    """The row of a run that had none: one that is not durable gets it at its first failure."""
    assert entry.data is not None
    if entry.data.get("row") is None:
        return None
    row = rows.run(entry.data)
    batch.rows[str(entry.data["run"])] = row
    batch.fresh.append(row)
    return row


def _lost(row: JobRun, batch: _Batch) -> None:
    """Redis had the id and not the run: let the relay push it again."""
    if row.state in (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING):
        logger.warning("a run was missing in Redis; it is pushed again", extra={"run": str(row.pk), "job": row.name})
        row.pushed_at = None
        batch.changed[row.pk] = row


def _started(row: JobRun, entry: Entry, batch: _Batch) -> None:
    data = entry.data or {}
    started_at = moment(data["started_ms"])
    if runs.transition(row, RunState.RUNNING, at=started_at, **rows.facts(row, data, started_at)):
        batch.changed[row.pk] = row


def _settled(row: JobRun, entry: Entry, batch: _Batch) -> None:
    data = entry.data or {}
    verdict = data["verdict"]
    ended_at = moment(entry.at_ms)
    next_at = ended_at + timedelta(seconds=data["wait_s"]) if data.get("wait_s") is not None else None
    facts = rows.facts(row, data, moment(data["started_ms"])) | {
        "run_ms": min(data["run_ms"], LARGEST),
        "crashes": data.get("crashes", row.crashes),
        "result": data.get("result"),
    }
    if verdict in ("retry", "put off"):
        facts["due_at"] = next_at
    if data.get("error_class"):
        facts |= {"error_class": data["error_class"][:200], "error_message": data["error_message"][:500]}
    seen_before = verdict == "put off" and facts.get("error_message") == row.error_message
    if not runs.transition(row, _STATE_AFTER[verdict], at=ended_at, **facts):
        logger.warning(
            "an ended run was settled again", extra={"run": str(row.pk), "job": row.name, "verdict": verdict}
        )
        return
    batch.changed[row.pk] = row
    if (said := progress.read(data.get("progress"))) is not None:
        batch.progress[row.pk] = rows.progress(row, said)
    _count(row, data, facts, batch.minutes, ended_ms=entry.at_ms)
    # A run that waits for something is looked at again and again: once is enough to tell. Of slices not even that.
    if verdict != "done" and not seen_before and not data.get("slice_over"):
        _failed(row, data, batch, ended_at=ended_at, next_at=next_at)
    batch.callbacks += [(data["token"], one) for one in callbacks.due(row, data, at=ended_at)]
    if row.state in ENDED_STATES:
        batch.finished.append((row, verdict))


def _failed(row: JobRun, data: dict[str, Any], batch: _Batch, *, ended_at: datetime, next_at: datetime | None) -> None:
    attempt = rows.attempt(row, data, ended_at, next_at)
    dead_job = rows.burial(row, data, ended_at) if data["verdict"] == "bury" else None
    batch.attempts.append(attempt)
    batch.failures.add(attempt, data, dead_job)
    if dead_job is not None:
        batch.dead.append(dead_job)


def _count(row: JobRun, data: dict[str, Any], facts: dict[str, Any], minutes: Minutes, *, ended_ms: int) -> None:
    minutes.settled(
        row.name,
        row.queue,
        started_ms=int(data["started_ms"]),
        wait_ms=int(facts["wait_ms"]),
        ended_ms=ended_ms,
        run_ms=int(facts["run_ms"]),
        verdict=data["verdict"],
        outcome=str(data.get("outcome", "")),
        error_class=str(data.get("error_class", "")),
    )


def _write(batch: _Batch) -> None:
    JobRun.objects.bulk_create(batch.fresh)
    runs.save_all(list(batch.changed.values()))
    batch.failures.store()
    told = _told_before(batch)
    JobAttempt.objects.bulk_create(batch.attempts, ignore_conflicts=True)
    DeadJob.objects.bulk_create(batch.dead)
    _write_progress(batch)
    callbacks.enqueue(callback for token, callback in batch.callbacks if token not in told)


def _write_progress(batch: _Batch) -> None:
    if batch.progress:
        ordered = [batch.progress[run] for run in sorted(batch.progress)]
        JobProgress.objects.bulk_create(
            ordered, update_conflicts=True, unique_fields=["run"], update_fields=rows.PROGRESS_FIELDS
        )


def _told_before(batch: _Batch) -> set[str]:
    """Attempts that have callbacks and were stored before: a journal may be read anew."""
    tokens = {token for token, _ in batch.callbacks}
    return set(JobAttempt.objects.filter(token__in=tokens).values_list("token", flat=True)) if tokens else set()


def _tell(batch: _Batch) -> None:
    for row, verdict in batch.finished:
        job_finished.send_robust(row.name, run=row, verdict=verdict)
    for dead_job in batch.dead:
        job_buried.send_robust(dead_job.name, dead_job=dead_job)
