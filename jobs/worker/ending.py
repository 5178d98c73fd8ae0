"""When a process that works ends, and why. Ends nothing itself: its loop does."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Mapping, Set

from jobs.broker.claim import Claim
from jobs.worker import memory, stopping
from jobs.worker.options import WorkerOptions

logger = logging.getLogger(__name__)

_MEMORY_LOOK_SECONDS = 1.0
# The supervisor and the terminal may both pass on one wish to stop.
_SAME_SIGNAL_SECONDS = 1.0


class Ending:
    """What has been said of the end so far. Once it has begun, nothing is claimed and what runs may go on for a while.

    1. SIGTSTP makes the process quiet: it claims no more, and does not end.
    2. SIGTERM begins the end, and leaves what runs the shutdown timeout. Said again, it leaves no time.
    3. Memory or a number of jobs above its limit lets the process retire: what runs has all the time that it takes.
    4. A job that will not end does so too, and leaves its neighbours the shutdown timeout.

    `heard` is called when a signal has come. `stuck` is the tokens of the jobs that will not end.
    """

    def __init__(self, options: WorkerOptions, *, worker: str, heard: Callable[[], None]) -> None:
        self.is_quiet = False
        self.stuck: Set[str] = frozenset()
        self._options = options
        self._worker = worker
        self._heard = heard
        self._at: float | None = None
        self._asked_at: float | None = None
        self._memory_look_at = 0.0

    def listen(self) -> None:
        """Heed signals from now on, and those that came early."""
        stopping.on_stop(self._on_stop)
        stopping.on_quiet(self._on_quiet)
        # A process that a job forks is none of ours: it ends when it is told to.
        os.register_at_fork(after_in_child=_forget_signals)

    @property
    def has_begun(self) -> bool:
        return self._at is not None

    @property
    def is_late(self) -> bool:
        """Whether the time is over that what runs was given."""
        return self._at is not None and time.monotonic() >= self._at

    @property
    def is_retirement(self) -> bool:
        """Whether another process is to take this one's place."""
        return self._at is not None and self._asked_at is None

    @property
    def may_claim(self) -> bool:
        return self._at is None and not self.is_quiet

    def note_stuck(self, stuck: Mapping[str, Claim]) -> None:
        """Retire because of jobs, by token, that go on for long after their time limit struck."""
        for claim in [claim for token, claim in stuck.items() if token not in self.stuck]:
            facts = {"job": claim.name, "run": claim.run_id, "worker": self._worker}
            logger.error("%s does not end after its time limit; its process is replaced", claim.name, extra=facts)
            self._retire(time.monotonic() + self._options.shutdown_timeout)
        self.stuck = stuck.keys()

    def note_begun(self, in_all: int) -> None:
        """Make room for a fresh process once this one has done enough, or grown too large by its jobs."""
        if self._at is not None or not in_all or (reason := self._reason_to_retire(in_all)) is None:
            return
        logger.info("%s is replaced after %s jobs: %s", self._worker, in_all, reason)
        self._retire(math.inf)

    def _reason_to_retire(self, begun: int) -> str | None:
        most = self._options.max_jobs_per_child
        if most is not None and begun >= most:
            return "that is --max-jobs-per-child"
        now = time.monotonic()
        if self._options.max_memory is None or now < self._memory_look_at:
            return None
        self._memory_look_at = now + _MEMORY_LOOK_SECONDS
        size = memory.resident_bytes()
        return f"it takes {size / 2**20:.0f} MB" if size > self._options.max_memory else None

    def _retire(self, at: float) -> None:
        """End by then and be replaced, unless it is to end sooner anyway."""
        self._at = min(at, self._at or math.inf)
        stopping.say_ending()

    def _on_quiet(self, signum: int, frame: object) -> None:
        self.is_quiet = True
        self._heard()

    def _on_stop(self, signum: int, frame: object) -> None:
        stopping.say_ending()
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._at = now + self._options.shutdown_timeout
        elif now - self._asked_at > _SAME_SIGNAL_SECONDS:
            # A second wish does not wait.
            self._at = now
        self._heard()


def _forget_signals() -> None:
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP):
        signal.signal(signum, signal.SIG_DFL)
