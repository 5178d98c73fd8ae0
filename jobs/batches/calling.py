"""The callbacks of batches: what may be one, how it is kept, and how it is enqueued."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs import registry
from jobs.errors import BadArguments, BadBatch
from jobs.models import Batch
from jobs.policy.ended_batch import EndedBatch
from jobs.registry import Bound, Job, Prepared

Callback = Prepared | Job[..., Any]


def stored(option: str, callback: Callback | None) -> dict[str, Any] | None:
    """A callback as plain JSON. Raises `BadBatch` for what cannot be one."""
    if callback is None:
        return None
    if not isinstance(callback, Prepared | Job):
        raise BadBatch(f"{option}={callback!r}: pass a job, or a call that was prepared, such as tell.prepare(17)")
    job = callback.job if isinstance(callback, Prepared) else callback
    if not job.options.durable:
        raise BadBatch(
            f"{option}: {job.name} is not durable, and would not be enqueued just once; leave durable=False out"
        )
    registry.get(job.name)
    if isinstance(callback, Prepared):
        return callback.as_json()
    return {"job": job.name, "args": [], "kwargs": {}, "told": _wants_facts(option, job)}


def enqueue(callback: dict[str, Any], batch: Batch, event: str, now: datetime) -> None:
    """Ask for the run. Raises a `JobsError` where that cannot be."""
    where = {"parent": batch.parent, "correlation": batch.correlation}
    if callback.get("told"):
        job = registry.get(callback["job"])
        Prepared(job, Bound((facts(batch, event, now),), {})).enqueue(**where)
    else:
        Prepared.of(callback).enqueue(**where)


def facts(batch: Batch, event: str, now: datetime) -> EndedBatch:
    """What a callback is told."""
    return EndedBatch(
        batch=batch.pk,
        name=batch.name,
        key=batch.key,
        event=event,
        state=batch.state,
        total=batch.total,
        succeeded=batch.succeeded,
        dead=batch.dead,
        discarded=batch.discarded,
        cancelled=batch.cancelled,
        at=now.isoformat(),
    )


def _wants_facts(option: str, job: Job[..., Any]) -> bool:
    for told, args in ((False, ()), (True, ({},))):
        try:
            job.fit(args, {})
        except BadArguments:
            continue
        return told
    raise BadBatch(f"{option}: {job.name} wants more than one argument; pass {job.name.rpartition('.')[2]}.prepare(…)")
