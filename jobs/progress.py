"""How far runs are, for whoever looks: what Redis says of those that run, else what the row keeps of their end.

Jobs say it by `current_run().progress(done, total)`; those that iterate say it by themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from jobs.broker import progress as broker
from jobs.errors import BrokerUnavailable
from jobs.models import JobProgress, JobRun
from jobs.models.runs import PENDING_STATES
from jobs.policy.progress import Progress


def of(run: JobRun) -> Progress | None:
    """How far a run is, or was when it ended; None where it never said."""
    return of_all([run]).get(run.pk)


def of_all(runs: Sequence[JobRun]) -> dict[uuid.UUID, Progress]:
    """The same for many, by id: one query, and one round trip where any of them is pending."""
    found = {row.run_id: _of_row(row) for row in JobProgress.objects.filter(run__in=[run.pk for run in runs])}
    pending = {run.rq_id: run.pk for run in runs if run.state in PENDING_STATES}
    try:
        live = broker.of(pending) if pending else {}
    except BrokerUnavailable:
        live = {}
    return found | {pending[rq_id]: one for rq_id, one in live.items()}


def _of_row(row: JobProgress) -> Progress:
    return Progress(row.done, row.total, row.message, row.unit, at=row.reported_at.timestamp())
