"""Stores the journal: runs, attempts and burials, each entry once and in order per run.

1. `read` takes entries behind the cursor.
2. `_store` writes what they say and moves the cursor, in one transaction: two recorders cannot both.
3. `forget` trims the journal and shrinks ended runs in Redis to a marker.

A crash between 2 and 3 leaves entries that are stored: `catch_up` forgets them at the next start.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    router,
    transaction,
)

from jobs import failpoints, runs
from jobs.broker import journal
from jobs.broker.journal import Entry
from jobs.models import DeadJob, JobAttempt, JobRun, JournalCursor, RunState
from jobs.models.runs import ENDED_STATES
from jobs.signals import job_buried, job_finished

logger = logging.getLogger(__name__)

SHARD = 0
_AT_ONCE = 500

_STATE_AFTER = {
    "done": RunState.SUCCEEDED,
    "retry": RunState.RETRYING,
    "put off": RunState.SCHEDULED,
    "bury": RunState.DEAD,
    "discard": RunState.DISCARDED,
    "hand back": RunState.QUEUED,
    "isolate": RunState.QUEUED,
}


# What an entry raises that says too little, or what the database cannot hold.
_UNFIT = (
    DataError,
    IntegrityError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
# What says nothing of the entry.
_OUTAGES = (OperationalError, ProgrammingError, InterfaceError)
# PostgreSQL's integers; as milliseconds, 24 days.
_LARGEST = 2**31 - 1


class CursorMoved(Exception):
    """Another recorder stored these entries."""


@dataclass
class _Batch:
    """What some entries change, gathered before anything is written."""

    rows: dict[str, JobRun] = field(default_factory=dict)
    fresh: list[JobRun] = field(default_factory=list)
    changed: dict[uuid.UUID, JobRun] = field(default_factory=dict)
    attempts: list[JobAttempt] = field(default_factory=list)
    dead: list[DeadJob] = field(default_factory=list)
    finished: list[tuple[JobRun, str]] = field(default_factory=list)


def record(*, block_seconds: float = 0.0) -> int:
    """Store the next entries, waiting up to `block_seconds` for the first one. Returns how many there were.

    Raises `BrokerUnavailable` or a database error, and may be called again after either.
    """
    after = position()
    entries = journal.read(after, most=_AT_ONCE, block_seconds=block_seconds)
    if not entries:
        return 0
    try:
        _store_all(entries, after=after)
    except CursorMoved:
        return 0
    if failpoints.armed:
        failpoints.reach("after_commit")
    journal.forget(entries[-1].position, _ended(entries))
    if failpoints.armed:
        failpoints.reach("after_forget")
    return len(entries)


def record_all() -> int:
    """Store everything that is in the journal now. Returns how many entries there were."""
    catch_up()
    count = 0
    while stored := record():
        count += stored
    return count


def pass_by() -> None:
    """Store the next entries one by one, leaving out all that cannot be, when `record` fails at them again and again.

    What an ended run left in Redis then stays there. Raises as `record` does.
    """
    after = position()
    with contextlib.suppress(CursorMoved):
        _store_one_by_one(journal.read(after, most=_AT_ONCE), after=after, unfit=(Exception,))
    journal.forget(position(), [])


def catch_up() -> None:
    """Forget entries that an earlier recorder stored and did not come to forget."""
    stored = position()
    while stored != journal.FIRST and (entries := journal.read_stored(stored, most=_AT_ONCE)):
        journal.forget(entries[-1].position, _ended(entries))


def position() -> str:
    """Up to where the journal is stored."""
    cursor, _ = JournalCursor.objects.get_or_create(shard=SHARD)
    return cursor.position


def _ended(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    settled = [entry.data for entry in entries if entry.data and entry.kind == "settled"]
    return [
        (str(data.get("run")), data["life"])
        for data in settled
        # In Python true is an integer; Redis takes it for none.
        if data.get("verdict") in ("done", "discard") and type(data.get("life")) is int and _is_text(data.get("run"))
    ]


def _is_text(value: object) -> bool:
    """Whether it can be written to Redis: JSON can name half of a character."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _store_all(entries: Sequence[Entry], *, after: str) -> None:
    try:
        _store(entries, after=after)
    except _UNFIT:
        _store_one_by_one(entries, after=after)


def _store(entries: Sequence[Entry], *, after: str) -> None:
    using = router.db_for_write(JobRun)
    with transaction.atomic(using=using):
        ours = JournalCursor.objects.filter(shard=SHARD, position=after)
        if not ours.update(position=entries[-1].position, updated_at=datetime.now(UTC)):
            raise CursorMoved
        batch = _Batch(rows=_lock_rows(entries))
        for entry in entries:
            _apply(entry, batch)
        _write(batch)
        if failpoints.armed:
            failpoints.reach("before_commit")
        transaction.on_commit(lambda: _tell(batch), using=using)


def _store_one_by_one(entries: Sequence[Entry], *, after: str, unfit: tuple[type[Exception], ...] = _UNFIT) -> None:
    """One entry that the database refuses must not hold up the rest: it is logged whole and passed by."""
    for entry in entries:
        try:
            _store([entry], after=after)
        except (CursorMoved, *_OUTAGES):
            raise
        except unfit:
            logger.exception("journal entry cannot be stored", extra={"entry": entry.data, "position": entry.position})
            JournalCursor.objects.filter(shard=SHARD, position=after).update(position=entry.position)
        after = entry.position


def _lock_rows(entries: Sequence[Entry]) -> dict[str, JobRun]:
    rq_ids = {str(entry.data["run"]) for entry in entries if entry.data and "run" in entry.data}
    ours = {uuid.UUID(rq_id) for rq_id in rq_ids if _is_uuid(rq_id)}
    rows = {row.rq_id: row for row in runs.lock(ours)}
    # Foreign ids are arbitrary and may come again: the latest row of that id is meant.
    foreign = JobRun.objects.select_for_update().filter(rq_id__in=rq_ids - rows.keys()).order_by("pk")
    return rows | {row.rq_id: row for row in foreign}


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _apply(entry: Entry, batch: _Batch) -> None:
    if entry.kind == "wake":
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
    facts = entry.data.get("row")
    if facts is None:
        return None
    rq_id = str(entry.data["run"])
    row = JobRun(
        id=uuid.UUID(facts["id"]),
        rq_id=rq_id,
        name=facts["name"],
        queue=facts["queue"],
        state=RunState.QUEUED,
        life=entry.data["life"],
        payload=facts["payload"],
        arguments=facts["arguments"],
        options=facts.get("options", {}),
        max_attempts=facts["max_attempts"],
        created_at=datetime.fromisoformat(facts["created_at"]),
        pushed_at=datetime.fromisoformat(facts["created_at"]),
        parent=uuid.UUID(facts["parent"]) if facts.get("parent") else None,
        correlation=facts.get("correlation", ""),
    )
    batch.rows[rq_id] = row
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
    started_at = _moment(data["started_ms"])
    if runs.transition(row, RunState.RUNNING, at=started_at, **_attempt_facts(row, data, started_at)):
        batch.changed[row.pk] = row


def _settled(row: JobRun, entry: Entry, batch: _Batch) -> None:
    data = entry.data or {}
    verdict = data["verdict"]
    ended_at = _moment(entry.at_ms)
    next_at = ended_at + timedelta(seconds=data["wait_s"]) if data.get("wait_s") is not None else None
    facts = _attempt_facts(row, data, _moment(data["started_ms"])) | {
        "run_ms": min(data["run_ms"], _LARGEST),
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
    # A run that waits for something is looked at again and again: once is enough to tell.
    if verdict != "done" and not seen_before:
        batch.attempts.append(_attempt(row, data, ended_at, next_at))
    if verdict == "bury":
        batch.dead.append(_burial(row, data, ended_at))
    if row.state in (RunState.SUCCEEDED, RunState.DEAD, RunState.DISCARDED):
        batch.finished.append((row, verdict))


def _attempt_facts(row: JobRun, data: dict[str, Any], started_at: datetime) -> dict[str, Any]:
    return {
        "attempts": data["attempts"],
        "started_at": started_at,
        "wait_ms": min(data["wait_ms"], _LARGEST),
        "worker": data["worker"][:200],
        "release": data["release"][:100],
        "pushed_at": row.pushed_at or _moment(data["pushed_ms"]),
    }


def _attempt(row: JobRun, data: dict[str, Any], ended_at: datetime, next_at: datetime | None) -> JobAttempt:
    return JobAttempt(
        run=row,
        life=row.life,
        number=data["attempt"],
        token=data["token"],
        started_at=_moment(data["started_ms"]),
        ended_at=ended_at,
        run_ms=min(data["run_ms"], _LARGEST),
        worker=data["worker"][:200],
        release=data["release"][:100],
        outcome=data["outcome"],
        verdict=data["verdict"],
        reason=data.get("reason", "")[:200],
        next_at=next_at,
        error_class=data.get("error_class", "")[:200],
        error_message=data.get("error_message", ""),
        traceback=data.get("traceback", ""),
    )


def _burial(row: JobRun, data: dict[str, Any], died_at: datetime) -> DeadJob:
    return DeadJob(
        run=row,
        life=row.life,
        name=row.name,
        queue=row.queue,
        reason=data["reason"],
        error_class=data.get("error_class", "")[:200],
        error_message=data.get("error_message", "")[:500],
        died_at=died_at,
    )


def _write(batch: _Batch) -> None:
    JobRun.objects.bulk_create(batch.fresh)
    runs.save_all(list(batch.changed.values()))
    JobAttempt.objects.bulk_create(batch.attempts, ignore_conflicts=True)
    DeadJob.objects.bulk_create(batch.dead)


def _tell(batch: _Batch) -> None:
    for row, verdict in batch.finished:
        job_finished.send_robust(row.name, run=row, verdict=verdict)
    for dead_job in batch.dead:
        job_buried.send_robust(dead_job.name, dead_job=dead_job)


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
