"""Who is measured: ours in its kinds, and its peers. A new peer is a client module and a `Target` in the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.databases import Database

IsOver = Callable[[Any, Database | None, int], bool]

_RQWORKER = ("manage.py", "rqworker", "default", "--processes", "1", "--concurrency", "10")


@dataclass(frozen=True)
class Target:
    """One that is measured.

    `client` is a module that knows `fill`, `enqueue` and `pickup`, and `options` what it is told besides;
    `worker` is the command of one worker. `queue` is the Redis list that holds what waits: it is hidden
    until the worker stands ready. `share` is its part of `--jobs`, so that slow ones do not hold up the rest.
    """

    name: str
    client: str
    worker: tuple[str, ...]
    is_over: IsOver
    options: tuple[str, ...] = ()
    queue: str = "rq:queue:default"
    database: str = "sqlite"
    share: float = 1.0


def _is_recorded(redis: Any, database: Database | None, jobs: int) -> bool:
    """The rows are counted only when Redis has nothing left: counting them costs."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.llen("rq:queue:default")
    pipeline.zcard("rq:wip:default")
    pipeline.xlen("jobs:journal")
    return not any(pipeline.execute()) and database is not None and database.count_succeeded() >= jobs


def _is_settled(redis: Any, database: Database | None, jobs: int) -> bool:
    pipeline = redis.pipeline(transaction=False)
    pipeline.llen("rq:queue:default")
    pipeline.zcard("rq:wip:default")
    return not any(pipeline.execute())


def _is_finished(redis: Any, database: Database | None, jobs: int) -> bool:
    return bool(redis.zcard("rq:finished:default") >= jobs)


TARGETS = (
    Target("ours_sqlite", "bench.ours", _RQWORKER, _is_recorded),
    Target("ours_postgresql", "bench.ours", _RQWORKER, _is_recorded, database="postgresql"),
    Target("ours_not_durable", "bench.ours", _RQWORKER, _is_settled, options=("--not-durable",)),
    Target("rq_worker", "bench.stock", ("-m", "bench.stock", "work", "fork"), _is_finished, share=0.03),
    Target("rq_simple", "bench.stock", ("-m", "bench.stock", "work", "simple"), _is_finished, share=0.1),
)
# What ratios are to.
REFERENCE = "rq_simple"
