"""How RQ's own tools see a worker: its name, queues, state and heartbeat."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from rq.utils import now as rq_now
from rq.worker.base import BaseWorker, WorkerStatus

from jobs.broker import stock
from jobs.broker.connection import client, errors_named
from jobs.rq_classes import JobsJob, JobsQueue

_BEAT_SECONDS = 15.0
# Three beats may be missed.
_LIFE_SECONDS = 60


class RegisteredWorker(BaseWorker):
    """RQ's record of one of our processes."""

    queue_class = JobsQueue
    job_class = JobsJob

    @property
    def connection_timeout(self) -> int:
        """RQ raises the client's time limit to this; ours is to stay."""
        return 0


class Registration:
    """One process in RQ's list of workers, from birth to death."""

    def __init__(self, name: str, queues: Sequence[str]) -> None:
        with errors_named():
            self._worker = RegisteredWorker(
                [JobsQueue(queue) for queue in queues], name=name, connection=client(), worker_ttl=_LIFE_SECONDS
            )
        self._worker.pid = os.getpid()
        self._state = ""
        self._beat_at = 0.0

    def birth(self) -> None:
        """Enter the list, in place of a worker of the same name that left no word. Raises `BrokerUnavailable`."""
        with errors_named():
            client().delete(self._worker.key)
            self._worker.register_birth()
            client().hset(self._worker.key, stock.MARK, stock.OURS)

    def beat(self, *, busy: bool, quiet: bool = False) -> None:
        """Say that the process lives and whether it works; often enough, not each time. Raises `BrokerUnavailable`."""
        state = WorkerStatus.SUSPENDED if quiet else WorkerStatus.BUSY if busy else WorkerStatus.IDLE
        due = time.monotonic() >= self._beat_at
        if not due and state == self._state:
            return
        with errors_named():
            if not client().exists(self._worker.key):
                self._worker.register_birth()
            facts = {
                "state": state.value,
                "last_heartbeat": rq_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                stock.MARK: stock.OURS,
            }
            client().hset(self._worker.key, mapping=facts)
            client().expire(self._worker.key, _LIFE_SECONDS)
        self._state = state
        self._beat_at = time.monotonic() + _BEAT_SECONDS

    def death(self) -> None:
        """Leave the list. Raises `BrokerUnavailable`."""
        with errors_named():
            self._worker.register_death()
