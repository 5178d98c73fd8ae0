"""Rows made of what the journal says. Raises `KeyError`, `TypeError` or `ValueError` where it says too little."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from jobs import registry
from jobs.models import DeadJob, JobAttempt, JobProgress, JobRun, RunState
from jobs.policy import attempt_log
from jobs.policy.progress import Progress
from jobs.policy.storable import LARGEST, text


def run(data: dict[str, Any]) -> JobRun:
    """The row of a run that had none."""
    told = data["row"]
    job = registry.find(told["name"])
    return JobRun(
        id=uuid.UUID(told["id"]),
        rq_id=told.get("rq_id", str(data["run"])),
        name=told["name"],
        queue=told["queue"],
        state=RunState.QUEUED,
        life=data["life"],
        payload=told["payload"],
        arguments=told["arguments"],
        options=told.get("options", {}),
        max_attempts=told["max_attempts"],
        created_at=datetime.fromisoformat(told["created_at"]),
        pushed_at=datetime.fromisoformat(told["created_at"]),
        parent=uuid.UUID(told["parent"]) if told.get("parent") else None,
        correlation=told.get("correlation", ""),
        subject=job.options.subject.of(told["arguments"]) if job and job.options.subject else None,
    )


def facts(row: JobRun, data: dict[str, Any], started_at: datetime) -> dict[str, Any]:
    """What an attempt changes on its run's row, however it ends."""
    return {
        "attempts": data["attempts"],
        "started_at": started_at,
        "wait_ms": min(data["wait_ms"], LARGEST),
        "worker": data["worker"][:200],
        "release": data["release"][:100],
        "pushed_at": row.pushed_at or moment(data["pushed_ms"]),
    }


def attempt(row: JobRun, data: dict[str, Any], ended_at: datetime, next_at: datetime | None) -> JobAttempt:
    """The row of an attempt that did not simply succeed."""
    return JobAttempt(
        run=row,
        life=row.life,
        number=data["attempt"],
        token=data["token"],
        started_at=moment(data["started_ms"]),
        ended_at=ended_at,
        run_ms=min(data["run_ms"], LARGEST),
        worker=data["worker"][:200],
        release=data["release"][:100],
        outcome=data["outcome"],
        verdict=data["verdict"],
        reason=data.get("reason", "")[:200],
        next_at=next_at,
        error_class=data.get("error_class", "")[:200],
        error_message=data.get("error_message", ""),
        traceback=data.get("traceback", ""),
        log=_lines(data.get("log")),
    )


def _lines(told: Any) -> list[Any] | None:
    """The log lines of an attempt, without what cannot be one."""
    return [line for line in told if attempt_log.is_line(line)] or None if isinstance(told, list) else None


PROGRESS_FIELDS = ("done", "total", "message", "unit", "reported_at")


def progress(row: JobRun, said: Progress) -> JobProgress:
    """The row of how far a run was at the end of an attempt."""
    at = moment(1000 * said.at)
    words = {"message": text(said.message), "unit": text(said.unit)}
    return JobProgress(run=row, done=said.done, total=said.total, reported_at=at, **words)


def burial(row: JobRun, data: dict[str, Any], died_at: datetime) -> DeadJob:
    """The row of a run's death."""
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


def moment(milliseconds: float) -> datetime:
    """A moment of the server's clock."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
