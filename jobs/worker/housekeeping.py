"""What any supervisor does for all: takes back what dead or silent workers held."""

from __future__ import annotations

import logging

from jobs.broker import claim as claims
from jobs.broker.claim import WorkerId
from jobs.broker.settle import settle
from jobs.policy.outcome import Abandoned, Crashed
from jobs.worker import lifecycle

logger = logging.getLogger(__name__)


def reclaim_dead(worker: WorkerId, *, crashed: bool) -> int:
    """Take back what a process held whose death is certain. Returns how many runs that were."""
    claims.end_lease(worker.id)
    return _reclaim(worker, crashed=crashed)


def reclaim_silent(worker_id: str) -> int:
    """Take back what a worker held whose lease has ended. Returns how many runs that were."""
    return _reclaim(WorkerId(worker_id.rpartition("/")[0], worker_id), crashed=False)


def _reclaim(worker: WorkerId, *, crashed: bool) -> int:
    held = claims.held_by(worker.id)
    outcome = Crashed(alone=len(held) == 1) if crashed else Abandoned()
    ended = [lifecycle.conclude(claim, outcome, worker=worker.name, run_ms=0) for claim in held]
    taken = sum(settle(worker, ended, only_ended=True))
    claims.forget_worker(worker.id)
    if taken:
        names = ", ".join(sorted({claim.name for claim in held}))
        facts = {"worker": worker.name, "count": taken}
        logger.warning("taken back from %s (%s): %s of %s", worker.id, outcome.name, taken, names, extra=facts)
    return taken
