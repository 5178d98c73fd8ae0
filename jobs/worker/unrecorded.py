"""Discards what waits in a queue and has no row: jobs of plain RQ, and runs that are not durable.

One of plain RQ gets its row by what the journal hears of its end; one that is not durable leaves none.
"""

from __future__ import annotations

import logging
from datetime import datetime

from jobs.broker import claim as claims
from jobs.broker.seizing import seize
from jobs.broker.settle import settle
from jobs.errors import DiscardJob
from jobs.policy.outcome import Raised
from jobs.worker import lifecycle
from jobs.worker.child import fresh_id

logger = logging.getLogger(__name__)


def discard(queue: str, *, until: datetime, why: str) -> int:
    """Discard those of a queue that were asked for by then. Returns how many. Raises `BrokerUnavailable`.

    They never run. If this process dies meanwhile, what it had taken is handed back by a supervisor.
    """
    worker = fresh_id("clearing")
    count = 0
    try:
        for held in seize(worker, queue, until=until):
            ended = [lifecycle.conclude(claim, Raised(DiscardJob(why)), worker=worker.name, run_ms=0) for claim in held]
            count += sum(settle(worker, ended))
    finally:
        claims.forget_worker(worker.id)
    if count:
        logger.info("%d runs without a row were discarded from %s", count, queue, extra={"queue": queue})
    return count
