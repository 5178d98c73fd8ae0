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
    `needs` is a package of the peers' environment, which is then what the target runs in. `registers` is whether
    its workers are in RQ's set of workers; of others the first job tells that they are ready.
    """

    name: str
    client: str
    worker: tuple[str, ...]
    is_over: IsOver
    options: tuple[str, ...] = ()
    queue: str = "rq:queue:default"
    database: str = "sqlite"
    share: float = 1.0
    needs: str = ""
    registers: bool = True


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


def _is_acked_by_celery(redis: Any, database: Database | None, jobs: int) -> bool:
    """Celery takes leave of a message when a worker begins with it: the last ones may be running."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.llen("celery")
    pipeline.hlen("unacked")
    return not any(pipeline.execute())


def _is_acked_by_dramatiq(redis: Any, database: Database | None, jobs: int) -> bool:
    return not redis.hlen("dramatiq:default.msgs")


def _is_taken_by_huey(redis: Any, database: Database | None, jobs: int) -> bool:
    """Huey keeps no record of what runs: the last ones may be running."""
    return not redis.llen("huey.redis.bench")


def _celery(name: str, pool: str) -> Target:
    command = ("-m", "celery", "-A", "bench.peers.celery", "worker", "--loglevel", "WARNING", "--concurrency", "10")
    worker = (*command, "--pool", pool)
    return _peer("celery", name, worker, _is_acked_by_celery, queue="celery", share=0.2)


def _peer(package: str, name: str, worker: tuple[str, ...], is_over: IsOver, *, queue: str, share: float) -> Target:
    return Target(
        name,
        "bench.peers",
        worker,
        is_over,
        options=("--peer", package),
        queue=queue,
        share=share,
        needs=package,
        registers=False,
    )


TARGETS = (
    Target("ours_sqlite", "bench.ours", _RQWORKER, _is_recorded),
    Target("ours_postgresql", "bench.ours", _RQWORKER, _is_recorded, database="postgresql"),
    Target("ours_not_durable", "bench.ours", _RQWORKER, _is_settled, options=("--not-durable",)),
    Target("rq_worker", "bench.stock", ("-m", "bench.stock", "work", "fork"), _is_finished, share=0.03),
    Target("rq_simple", "bench.stock", ("-m", "bench.stock", "work", "simple"), _is_finished, share=0.1),
    _celery("celery_prefork", "prefork"),
    _celery("celery_threads", "threads"),
    _peer(
        "dramatiq",
        "dramatiq",
        ("-m", "dramatiq", "bench.peers.dramatiq", "--processes", "1", "--threads", "10"),
        _is_acked_by_dramatiq,
        queue="dramatiq:default",
        share=0.5,
    ),
    _peer(
        "huey",
        "huey",
        ("-m", "huey.bin.huey_consumer", "bench.peers.huey.huey", "--workers", "10", "--quiet"),
        _is_taken_by_huey,
        queue="huey.redis.bench",
        share=0.5,
    ),
)
# What ratios are to.
REFERENCE = "rq_simple"
