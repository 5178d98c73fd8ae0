"""Workers forked from this warm process, killed with their children, and started again as a service manager would."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import children, family, kill, reap

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Hit:
    """A kill that met a live worker: who died, and when."""

    at: float
    pids: tuple[int, ...]


@dataclass
class Fleet:
    """Some workers that ought to run. `work` is what each does, given its number; it never returns on its own."""

    work: Callable[[int], None]
    size: int
    log: Path
    hits: list[Hit] = field(default_factory=list)
    _pids: dict[int, int] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _ended: set[int] = field(default_factory=set)

    def keep_running(self) -> None:
        """Start every worker that does not run."""
        ended = self._look()
        for number in range(self.size):
            if number not in self._pids or self._pids[number] in ended:
                self._pids[number] = self.fork(lambda number=number: self.work(number))  # type: ignore[misc]
        # RQ's worker has a child only while a job runs, and its weak moments are those between.
        self._begun.update(pid for pid in self._pids.values() if pid not in self._begun and children(pid))

    def fork(self, work: Callable[[], None]) -> int:
        """The pid of a process of the trial that does `work`: a client, as a rule."""
        pid = fork(work, self.log)
        # A number that an earlier one had comes again.
        self._ended.discard(pid)
        return pid

    def has_ended(self, pid: int) -> bool:
        """Whether a process that was forked from here, a worker or a client, is gone."""
        self._look()
        return pid in self._ended

    def ready(self, number: int) -> int | None:
        """The pid of a worker that lives and has had a child; None otherwise."""
        pid = self._pids.get(number)
        return pid if pid in self._begun and not self.has_ended(pid) else None

    @property
    def pids(self) -> list[int]:
        """The workers as they were started last."""
        return list(self._pids.values())

    def _look(self) -> set[int]:
        ended = set(reap())
        self._ended |= ended
        return self._ended

    def strike(self, number: int) -> bool:
        """SIGKILL a worker and its children, who are listed first; whether it lived and has ever had a child."""
        pid = self.ready(number)
        pids = family(pid) if pid else []
        if pid is None or not pids:
            return False
        at = time.monotonic()
        # The worker first, or it would start others in the place of those that it sees die.
        kill(pids)
        os.waitpid(pid, 0)
        self._ended.add(pid)
        del self._pids[number]
        self.hits.append(Hit(at, tuple(pids)))
        return True

    def stop(self, seconds: float = 30.0) -> None:
        """Ask all to end, and kill those that do not within `seconds`."""
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        left = set(self._pids.values())
        while left and time.monotonic() < deadline:
            left -= self._look()
            time.sleep(0.02)
        kill([member for pid in left for member in family(pid)])
        self._pids.clear()


def fork(work: Callable[[], None], log: Path) -> int:
    """The pid of a process that does `work`, writes what it says to `log`, and ends with us."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(work, log, parent)
    return pid


def _be_child(work: Callable[[], None], log: Path, parent: int) -> None:
    status = 1
    try:
        # Ctrl-C is for the parent, which ends the others.
        os.setsid()
        _die_with(parent)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_DFL)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
