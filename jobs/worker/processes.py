"""The processes of a worker: forked, told to stop, waited for, and started again after a pause.

What each does, and whether it ought to run, the supervisor knows.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connections

from jobs.broker.claim import WorkerId
from jobs.policy.backoff import exponential
from jobs.worker import stopping
from jobs.worker.pulse import Pulse

logger = logging.getLogger(__name__)

# The supervisor waits for these, and its processes get them anew.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGTSTP)
_restart_wait = exponential(first=0.5, cap=30.0)
# A process that lived this long did not fail at its start.
_SETTLED_IN_SECONDS = 10.0
# As many failures as a process counts at the most whose jobs ended it: the next one starts within a second.
_FAILURES_OF_JOBS = 1
_PR_SET_PDEATHSIG = 1


@dataclass
class Process:
    """One process over all its lives. `pid` is 0 between them, and `finished` says that no other is to follow.

    `worker` and `pulse` are those of a child's present life, None for a process that claims nothing.
    """

    work: Callable[[], None] = lambda: None
    worker: WorkerId | None = None
    pulse: Pulse | None = None
    pid: int = 0
    finished: bool = False
    start_at: float = 0.0
    _started_at: float = 0.0
    _failures: int = 0

    @property
    def name(self) -> str:
        return self.worker.name if self.worker else "the recording process"

    @property
    def is_due(self) -> bool:
        """Whether it does not run, and has waited long enough to begin anew."""
        return not self.pid and time.monotonic() >= self.start_at

    @property
    def latest_begun(self) -> int | None:
        """The number of the last claim that it began with; None for one that claims nothing."""
        return None if self.pulse is None else self.pulse.latest_begun

    @property
    def is_over(self) -> bool:
        """Whether its last life said that the work is over."""
        return self.pulse is not None and self.pulse.is_over

    def start(self) -> None:
        """Fork. Where the system refuses, it is tried again after a while."""
        # A connection that is open here would be shared with the child.
        connections.close_all()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._wait_before_next(f"could not be started ({error})")
            return
        if pid == 0:
            _be_child(self.work, parent=parent)
        self.pid, self._started_at = pid, time.monotonic()

    def send(self, signum: int) -> None:
        """Send it a signal, if it runs."""
        # To 0 would be to the whole group.
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def status(self) -> int | None:
        """Its exit status once it has ended, None while it runs."""
        try:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 1
        return os.waitstatus_to_exitcode(status) if ended else None

    def note_end(self, status: int) -> bool:
        """Take note that it has ended, and when the next life may begin. Returns whether it ended as it should."""
        lived = time.monotonic() - self._started_at
        self.pid = 0
        # A job may end its process with any status; the pulse cannot be faked.
        if self.pulse.ended_as_it_should if self.pulse is not None else status == 0:
            return True
        if lived >= _SETTLED_IN_SECONDS:
            self._failures = 0
        elif self.latest_begun:
            # It could start: a job ended it, and its neighbours shall not wait long for the next.
            self._failures = min(self._failures, _FAILURES_OF_JOBS)
        self._wait_before_next(f"ended with status {status}")
        return False

    def _wait_before_next(self, what: str) -> None:
        self._failures += 1
        wait = _restart_wait(self._failures)
        self.start_at = time.monotonic() + wait
        logger.error("%s %s; the next starts in %.1f s", self.name, what, wait)


def _be_child(work: Callable[[], None], *, parent: int) -> None:
    """Become the process that does `work`, and end with it. Never returns."""
    status = 1
    try:
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
        stopping.listen()
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work()
        status = 0
    except BaseException:
        logger.exception("a worker process failed")
    finally:
        # Threads that still run a job, and whatever the parent registered for its own exit, must not hold us up.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_with(parent: int) -> None:
    """Be asked to stop when the supervisor dies without a word, or has died since it forked us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
