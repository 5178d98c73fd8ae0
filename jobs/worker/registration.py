"""How RQ's own tools see a worker: its name, queues, state and heartbeat. Beside them stands what RQ does not know."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence

from rq.utils import now as rq_now
from rq.worker.base import BaseWorker, WorkerStatus

from jobs.broker import keys, stock
from jobs.broker.connection import client, errors_named
from jobs.rq_classes import JobsJob, JobsQueue
from jobs.worker import memory

_BEAT_SECONDS = 5.0
# Eleven beats may be missed.
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
    """One process in RQ's list of workers, from birth to death. `facts` is what RQ does not know of it."""

    def __init__(self, name: str, queues: Sequence[str], *, facts: Mapping[str, str | int] | None = None) -> None:
        with errors_named():
            self._worker = RegisteredWorker(
                [JobsQueue(queue) for queue in queues], name=name, connection=client(), worker_ttl=_LIFE_SECONDS
            )
        self._worker.pid = os.getpid()
        self._facts = dict(facts or {})
        self._state = ""
        self._beat_at = 0.0

    def birth(self) -> None:
        """Enter the list, in place of a worker of the same name that left no word. Raises `BrokerUnavailable`."""
        with errors_named():
            client().delete(self._worker.key)
            self._worker.register_birth()
            client().hset(self._worker.key, mapping=self._told(0))

    def beat(self, *, busy: int, quiet: bool = False) -> None:
        """Say that the process lives and how many runs it is at; often enough, not each time.

        Raises `BrokerUnavailable`.
        """
        state = WorkerStatus.SUSPENDED if quiet else WorkerStatus.BUSY if busy else WorkerStatus.IDLE
        due = time.monotonic() >= self._beat_at
        if not due and state == self._state:
            return
        heard_at = rq_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        told = {"state": state.value, "last_heartbeat": heard_at, **self._told(busy)}
        with errors_named():
            pipeline = client().pipeline(transaction=False)
            pipeline.hset(self._worker.key, mapping=told)
            pipeline.expire(self._worker.key, _LIFE_SECONDS)
            added, _ = pipeline.execute()
            if added == len(told):
                # Its record had ended, or was deleted: all of it is told anew.
                client().delete(self._worker.key)
                self._worker.register_birth()
                client().hset(self._worker.key, mapping=told)
        self._state = state
        self._beat_at = time.monotonic() + _BEAT_SECONDS

    def _told(self, busy: int) -> dict[str, str]:
        facts = {**self._facts, "busy": busy, "rss": memory.resident_bytes()}
        return {stock.MARK: stock.OURS, keys.FACTS: json.dumps(facts, separators=(",", ":"))}

    def death(self) -> None:
        """Leave the list. Raises `BrokerUnavailable`."""
        with errors_named():
            self._worker.register_death()
