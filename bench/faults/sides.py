"""The two that are put to the test: how each enqueues, works, and says what it knows of its jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from bench import ledger
from bench.databases import SQLite
from bench.faults.judge import Bookkeeping

QUEUES = ("critical", "default")


class Side(Protocol):
    """One that is put to the test. `at_once` jobs run at a time in a worker; each costs `overhead_ms` besides.

    Nothing moves any more when no job has ended for `quiet_seconds`. Each worker calls `before_work` first.
    """

    at_once: int
    overhead_ms: float
    quiet_seconds: float
    before_work: Callable[[int], None]

    def enqueue_all(self, jobs: int, ms: Callable[[int], int], *, start: int = 0) -> None:
        """Enqueue jobs by the keys from `start`, with a word in the ledger before and after each. Runs in a process
        of its own."""

    def work(self, number: int) -> None:
        """Be a worker."""

    def count_over(self) -> int:
        """Jobs that have ended, in whichever way; -1 while that cannot be told."""

    def books(self) -> Bookkeeping:
        """What is known in the end."""


class Ours:
    """A `rqworker` of two threads; the effect is a row, written in the job's own transaction."""

    at_once = 2
    overhead_ms = 5.0
    # Longer than a lease and a renewal of it: what a dead worker held comes back meanwhile.
    quiet_seconds = 60.0

    def __init__(self, folder: Path, redis_url: str, database: Callable[[Path], Any] | None = None) -> None:
        self.database = database(folder) if database else SQLite(folder)
        self.database.renew()
        self.redis: Any = Redis.from_url(redis_url)
        # What a scenario changes of its workers: their options, and what each does first.
        self.options: dict[str, Any] = {"queues": QUEUES, "concurrency": self.at_once}
        self.before_work: Callable[[int], None] = lambda number: None
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "DATABASE_URL": self.database.url,
            "REDIS_URL": redis_url,
            "LOG_LEVEL": "WARNING",
        }
        import django

        django.setup()

    def enqueue_all(self, jobs: int, ms: Callable[[int], int], *, start: int = 0) -> None:
        from bench.jobs import work

        handles = [work.using(queue=queue) for queue in QUEUES]
        note_each(range(start, start + jobs), lambda key: str(handles[key % len(handles)].enqueue(key, ms(key)).id))

    def work(self, number: int) -> None:
        from jobs.worker.options import WorkerOptions
        from jobs.worker.supervisor import Supervisor

        self.before_work(number)
        Supervisor(WorkerOptions(name=f"worker-{number}.{os.getpid()}", **self.options)).run()

    def count_over(self) -> int:
        try:
            return self.count("jobs_jobrun WHERE ended_at IS NOT NULL")
        # A scenario may have taken the database away. Each has an error class of this name.
        except Exception as error:
            if type(error).__name__ != "OperationalError":
                raise
            return -1

    def count(self, what: str) -> int:
        """Rows, as in `count("bench_effect WHERE key < 9")`."""
        return int(str(self.database.rows(f"SELECT count(*) FROM {what}")[0][0]))

    def books(self) -> Bookkeeping:
        rows = self.database.rows("SELECT rq_id, state, pushed_at IS NULL FROM jobs_jobrun")
        ended = ("succeeded", "dead", "discarded", "cancelled")
        pending = {str(run_id) for run_id, state, _ in rows if state not in ended}
        unpushed = {str(run_id) for run_id, _, is_unpushed in rows if is_unpushed}
        return Bookkeeping(
            # A row that was never pushed is the relay's; any other must be in a place of Redis too.
            runnable=pending & (self._in_redis() | unpushed),
            failed={str(run_id) for run_id, state, _ in rows if state in ("dead", "discarded", "cancelled")},
            absorbed=int(self.redis.hget("jobs:counters", "stale_settles") or 0),
            effects={int(str(key)) for (key,) in self.database.rows("SELECT key FROM bench_effect")},
        )

    def _in_redis(self) -> set[str]:
        names = [f"{prefix}{queue}" for queue in QUEUES for prefix in ("", "jobs.suspects.")]
        held = [place for key in self.redis.scan_iter("jobs:held:*") for place in self.redis.hvals(key)]
        return members(self.redis, names) | {place.decode().split("\t", 1)[1] for place in held}


class Stock:
    """RQ's own `Worker` on the same two queues, with no retries: what a new project gets. An effect is a line."""

    at_once = 1
    overhead_ms = 50.0
    queues_each = len(QUEUES)
    # What it held comes back after minutes or never; waiting for that would say nothing new.
    quiet_seconds = 20.0

    def __init__(self, folder: Path, redis_url: str, database: Callable[[Path], Any] | None = None) -> None:
        self._url = redis_url
        self.before_work: Callable[[int], None] = lambda number: None
        # Called where a worker may die; None for RQ's own.
        self.come: Callable[[str], None] | None = None
        self._redis: Any = Redis.from_url(redis_url)

    def enqueue_all(self, jobs: int, ms: Callable[[int], int], *, start: int = 0) -> None:
        from rq import Queue

        queues = [Queue(name, connection=Redis.from_url(self._url)) for name in QUEUES]
        note_each(
            range(start, start + jobs),
            lambda key: str(queues[key % len(queues)].enqueue("bench.stock.work", key, ms(key)).id),
        )

    def work(self, number: int) -> None:
        from rq import Worker

        from bench.faults.dying_stock import dying_worker

        self.before_work(number)
        # With one queue a worker takes and registers in one step, with more in two.
        mine = QUEUES if self.queues_each > 1 else QUEUES[number % len(QUEUES)]
        kind = Worker if self.come is None else dying_worker(self.come)
        kind(mine, connection=Redis.from_url(self._url)).work(logging_level="WARNING")

    def count_over(self) -> int:
        places = [f"rq:{place}:{queue}" for queue in QUEUES for place in ("finished", "failed")]
        try:
            return sum(self._redis.zcard(place) for place in places)
        except RedisError:
            return -1

    def books(self) -> Bookkeeping:
        failed = [self._redis.zrange(f"rq:failed:{queue}", 0, -1) for queue in QUEUES]
        started = [self._redis.zrange(f"rq:wip:{queue}", 0, -1) for queue in QUEUES]
        return Bookkeeping(
            runnable=members(self._redis, QUEUES)
            | {entry.decode().split(":")[0] for entries in started for entry in entries},
            failed={run_id.decode() for ids in failed for run_id in ids},
        )


def note_each(keys: Iterable[int], enqueue: Callable[[int], str]) -> None:
    """Enqueue every job, and tell the ledger before and after. A call that raises is not acknowledged."""
    for key in keys:
        ledger.note("attempted", key)
        try:
            run_id = enqueue(key)
        except Exception as error:
            print(f"job {key} was not acknowledged: {error}", flush=True)
        else:
            ledger.note("acked", key, run_id)


def members(redis: Any, queues: Iterable[str]) -> set[str]:
    """Ids that wait in these queues, for their turn or their time."""
    found: set[str] = set()
    for queue in queues:
        found.update(run_id.decode() for run_id in redis.lrange(f"rq:queue:{queue}", 0, -1))
        found.update(run_id.decode() for run_id in redis.lrange(f"rq:queue:{queue}:intermediate", 0, -1))
        found.update(run_id.decode() for run_id in redis.zrange(f"rq:scheduled:{queue}", 0, -1))
    return found


SIDES: dict[str, type[Ours] | type[Stock]] = {"ours": Ours, "stock": Stock}
