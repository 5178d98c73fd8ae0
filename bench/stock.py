"""RQ as it comes: its functions, its worker, and its side of a measurement. Knows nothing of Django."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker, Worker

from bench.clients import BULK, per_second, rest, send
from bench.ledger import note

_WORKERS: dict[str, Any] = {"fork": Worker, "simple": SimpleWorker}


def tell(key: int) -> None:
    note("start", key)


def work(key: int, ms: int) -> None:
    note("start", key)
    rest(ms)
    note("effect", key)
    note("end", key)


def main() -> None:
    """Do what the command line asks and print what it took as JSON."""
    options = _options()
    connection = Redis.from_url(os.environ["REDIS_URL"])
    queue = Queue("default", connection=connection)
    if options.task == "work":
        _WORKERS[options.kind](["default"], connection=connection).work(logging_level="WARNING")
    elif options.task == "fill":
        _in_bulk(queue, options.jobs, options.ms)
    elif options.task == "pickup":
        send(lambda key: queue.enqueue("bench.stock.tell", key), options.jobs)
    else:
        print(json.dumps(_rates(queue, options.jobs)))


def _rates(queue: Queue, jobs: int) -> dict[str, float]:
    queue.enqueue("bench.clients.rest", 0)
    return {
        "one_per_s": per_second(jobs, lambda: [queue.enqueue("bench.clients.rest", 0) for _ in range(jobs)]),
        "bulk_per_s": per_second(10 * jobs, lambda: _in_bulk(queue, 10 * jobs, 0)),
    }


def _in_bulk(queue: Queue, jobs: int, ms: int) -> None:
    for start in range(0, jobs, BULK):
        count = min(BULK, jobs - start)
        queue.enqueue_many([Queue.prepare_data("bench.clients.rest", args=(ms,)) for _ in range(count)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("work", "fill", "enqueue", "pickup"))
    parser.add_argument("kind", choices=tuple(_WORKERS), nargs="?", default="fork")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--ms", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
