"""What the leading recording process does beside recording, each at its own interval.

The failures of a chore are its own: they are logged, and keep back neither what is recorded nor the other chores.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError

from jobs import batches, bulk, fuses, metrics, queues, recovery, workers, workflows
from jobs.errors import BrokerUnavailable
from jobs.exposition import statsd
from jobs.sweeping import Sweep
from jobs.worker import nightly

logger = logging.getLogger(__name__)

OUTAGES = (BrokerUnavailable, DatabaseError, InterfaceError)
SWEEP_SECONDS = 60.0


@dataclass
class Chore:
    """Something to do every so many seconds. `failed` is what the log says when it raises."""

    do: Callable[[], object]
    every_seconds: float
    failed: str
    due: float = field(default=0.0)

    def see_to(self, now: float) -> None:
        """Do it if it is due at `now`, of the monotonic clock. Never raises."""
        if now < self.due:
            return
        # First, so that a failure does not come back at each turn.
        self.due = now + self.every_seconds
        try:
            self.do()
        except Exception as error:
            logger.error("%s: %s", self.failed, error, exc_info=not is_outage(error))


def all_chores() -> Sequence[Chore]:
    """Those of one process, in the order in which they are seen to."""
    return [
        Chore(Sweep().slice, SWEEP_SECONDS, "the sweep failed", due=time.monotonic() + SWEEP_SECONDS),
        # Claims must obey a fuse soon, also one that Redis has lost.
        Chore(fuses.follow_rules, 5, "whether a rule adds a fuse could not be looked at"),
        Chore(fuses.tend, 2, "fuses could not be looked at"),
        Chore(queues.tend, 1, "pauses of queues could not be looked at"),
        Chore(queues.sample, 10, "how long queues are could not be noted"),
        Chore(workers.note, 10, "what workers say could not be noted"),
        Chore(bulk.revive, 15, "bulk actions are not looked after for now"),
        Chore(recovery.recover, 60, "recovery rules are not followed for now"),
        Chore(workflows.recover, 30, "stalled workflows are not looked for"),
        Chore(batches.look_after, 60, "batches that nobody fills are not looked for"),
        Chore(metrics.carry, 5, "what was enqueued is not counted for now"),
        Chore(metrics.roll, 15, "figures are not rolled up for now"),
        Chore(statsd.Sender().send, statsd.SECONDS, "figures are not sent to StatsD for now"),
        Chore(nightly.Nightly().look, 300, "the nightly clean-up is not asked for"),
    ]


def is_outage(error: Exception) -> bool:
    """Whether a server is away, so that a traceback says nothing more."""
    return isinstance(error, OUTAGES)
