"""The process that starts the others, renews their leases, and takes back what a dead one held.

It forks children that work, one that records, and now and then one in which the runs of a child that crashed are run
again one at a time, to find out which of them it was. It runs no job, holds no database connection and has no
thread: so it can fork again at any time, and nothing that a job does can delay it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import time
from typing import NamedTuple

from jobs import conf
from jobs.broker import fleet, journal
from jobs.broker.claim import WorkerId
from jobs.broker.keys import suspects
from jobs.broker.schedule import forget_workers, tick_and_beat
from jobs.errors import BrokerUnavailable
from jobs.worker import housekeeping
from jobs.worker.child import Child, fresh_id
from jobs.worker.options import WorkerOptions
from jobs.worker.processes import SIGNALS, Process
from jobs.worker.pulse import Pulse
from jobs.worker.recording import LAST_WORDS_SECONDS, Recording

logger = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
# RQ's record of a worker that died without a word ends after this long.
_FORGET_WORKERS_SECONDS = 60.0
# What a stopping child may take beyond its own shutdown time.
_STOP_MARGIN_SECONDS = 5.0
# A child's loop turns each second; one that has not for this long cannot.
_SILENT_SECONDS = 10.0


class _Left(NamedTuple):
    """A process that has ended, and the number of the last claim that it began with."""

    worker: WorkerId
    crashed: bool
    latest_begun: int | None


class Supervisor:
    """`run` returns when the work is over or a signal has stopped it."""

    def __init__(self, options: WorkerOptions) -> None:
        self._id = fresh_id(options.name).id
        self._options = options = dataclasses.replace(options, supervisor=self._id)
        self._suspects_queues = tuple(suspects(queue) for queue in options.queues)
        self._queues = list(dict.fromkeys([*options.queues, *conf.queue_names(), *self._suspects_queues]))
        self._children = [Process() for _ in range(options.processes)]
        self._recording = Process(work=_record)
        self._alone = Process()
        self._suspects = 0
        self._stopping = False
        self._quiet = False
        self._kill_at = float("inf")
        self._next_tick = 0.0
        self._next_release = 0.0
        self._forget_workers_at = 0.0
        self._unreachable = False
        self._told_of_server = False
        self._left_behind: list[_Left] = []

    def run(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._supervise()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _supervise(self) -> None:
        while not self._is_over():
            self._start_missing()
            self._tick()
            self._sleep()
            self._reap()
            self._kill_late()
            self._kill_silent()
        self._end_recording()

    def _is_over(self) -> bool:
        if self._quiet and not self._stopping:
            # Else whatever keeps us running would start another, which claims.
            return False
        waiting = self._suspects and not self._stopping
        return not self._alone.pid and not waiting and all(child.finished for child in self._children)

    def _start_missing(self) -> None:
        if self._recording.is_due:
            self._recording.start()
        if self._quiet or self._stopping:
            return
        for number, child in enumerate(self._children, start=1):
            if child.is_due and not child.finished:
                name = self._options.name if len(self._children) == 1 else f"{self._options.name}.{number}"
                self._start_child(child, name, self._options)
        if self._suspects and self._alone.is_due:
            one_at_a_time = WorkerOptions(
                name=f"{self._options.name}.alone",
                queues=self._suspects_queues,
                concurrency=1,
                supervisor=self._id,
                is_alone=True,
                burst=True,
                shutdown_timeout=self._options.shutdown_timeout,
            )
            self._start_child(self._alone, one_at_a_time.name, one_at_a_time)

    def _start_child(self, child: Process, name: str, options: WorkerOptions) -> None:
        child.worker = worker = fresh_id(name)
        child.pulse = pulse = Pulse(options.concurrency)
        child.work = lambda: Child(worker, options, pulse).run()
        child.start()

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        was = self._quiet, self._stopping
        live = [child.worker.id for child in self._working() if child.worker]
        wait = _TICK_SECONDS
        try:
            state, order = tick_and_beat(live, self._queues, fleet.beat_call(self._id, self._record()))
            self._suspects = state.suspects
            self._obey(order)
            housekeeping.reclaim_all_silent(state.ended)
            self._take_back()
            if now >= self._forget_workers_at:
                self._forget_workers_at = now + _FORGET_WORKERS_SECONDS
                forget_workers(self._queues)
            if now >= self._next_release:
                self._next_release = now + _TICK_SECONDS
                housekeeping.release_waiting(self._queues)
            if state.next_due_seconds is not None:
                wait = min(wait, state.next_due_seconds)
            if self._unreachable:
                logger.warning("Redis or Valkey answers again")
            self._unreachable = False
            if not self._told_of_server:
                self._told_of_server = True
                housekeeping.tell_of_server()
        except BrokerUnavailable as error:
            if not self._unreachable:
                logger.error("%s", error)
            self._unreachable = True
        # Who asked is to see soon that it is done.
        self._next_tick = time.monotonic() + (wait if was == (self._quiet, self._stopping) else 0.0)

    def _record(self) -> dict[str, str | int]:
        """What is told of this supervisor."""
        return {
            "name": self._options.name,
            "host": conf.host(),
            "pid": os.getpid(),
            "release": conf.release(),
            "queues": ",".join(self._options.queues),
            "state": "stopping" if self._stopping else "quiet" if self._quiet else "working",
        }

    def _obey(self, order: str) -> None:
        """Do what somebody asked for in the console."""
        if order == fleet.STOP and not self._stopping:
            logger.info("%s is asked to stop", self._options.name)
            self._stop()
        elif order == fleet.QUIET and not (self._quiet or self._stopping):
            self._be_quiet()

    def _take_back(self) -> None:
        while self._left_behind:
            left = self._left_behind[0]
            taken = housekeeping.reclaim_dead(left.worker, crashed=left.crashed, latest_begun=left.latest_begun)
            self._suspects += taken if left.crashed else 0
            del self._left_behind[0]

    def _working(self) -> list[Process]:
        """The processes that run jobs at present."""
        return [process for process in [*self._children, self._alone] if process.pid]

    def _sleep(self) -> None:
        """Until the next tick, or a signal."""
        got = signal.sigtimedwait(SIGNALS, max(0.0, self._next_tick - time.monotonic()))
        if got is None or got.si_signo == signal.SIGCHLD:
            return
        if got.si_signo == signal.SIGTSTP:
            self._be_quiet()
        else:
            self._stop()

    def _be_quiet(self) -> None:
        """Let the children go on with what they run and claim no more; none that ends is replaced."""
        if not self._quiet:
            logger.info("%s is quiet: it claims no more, and SIGTERM ends it", self._options.name)
        self._quiet = True
        for process in self._working():
            process.send(signal.SIGTSTP)

    def _stop(self) -> None:
        """Ask all children to end; asking again makes them hand back at once."""
        self._stopping = True
        self._kill_at = time.monotonic() + self._options.shutdown_timeout + _STOP_MARGIN_SECONDS
        for process in self._working():
            process.send(signal.SIGTERM)
        for child in self._children:
            child.finished = not child.pid

    def _kill_silent(self) -> None:
        """A job that holds the interpreter stops its process: nothing there can strike it, or say that it is stuck."""
        limit = max(_SILENT_SECONDS, 2 * conf.get().LEASE)
        for process in self._working():
            if process.pulse is not None and process.pulse.silent_seconds > limit:
                logger.error("%s has stood still for %.0f s and is killed", process.name, limit)
                process.send(signal.SIGKILL)

    def _kill_late(self) -> None:
        if time.monotonic() >= self._kill_at:
            for process in self._working():
                process.send(signal.SIGKILL)

    def _reap(self) -> None:
        for process in [*self._children, self._alone, self._recording]:
            if process.pid and (status := process.status()) is not None:
                self._bury(process, status)

    def _bury(self, process: Process, status: int) -> None:
        ended_well = process.note_end(status)
        if process.worker is not None:
            # Also after a clean end: Redis may have been away when it wanted to hand back what it held.
            self._left_behind.append(_Left(process.worker, not ended_well, process.latest_begun))
            self._next_tick = 0.0
        if process is not self._recording:
            process.finished = self._stopping or process.is_over

    def _end_recording(self) -> None:
        self._tick_last_time()
        with contextlib.suppress(BrokerUnavailable):
            fleet.leave(self._id)
        if not self._recording.pid:
            self._recording.start()
        if not self._recording.pid:
            # The fork failed. What is not stored stays in the journal.
            return
        self._recording.send(signal.SIGTERM)
        # It waits for the next thing that happens, and looks for signals only then.
        with contextlib.suppress(BrokerUnavailable):
            journal.wake()
        self._wait_for_recording()

    def _wait_for_recording(self) -> None:
        """A database that hangs must not keep us: what is not stored stays in the journal."""
        end = time.monotonic() + LAST_WORDS_SECONDS + _STOP_MARGIN_SECONDS
        while self._recording.status() is None:
            got = signal.sigtimedwait(SIGNALS, max(0.0, end - time.monotonic()))
            if got is None or got.si_signo != signal.SIGCHLD:
                self._recording.send(signal.SIGKILL)

    def _tick_last_time(self) -> None:
        self._next_tick = 0.0
        self._tick()


def _record() -> None:
    Recording().run()
