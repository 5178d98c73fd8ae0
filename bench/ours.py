"""Our side of a measurement, in a process of its own: fills the queue, or enqueues against the clock."""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Iterator
from typing import Any

import django

from bench import recording
from bench.clients import BULK, per_second, send


def main() -> None:
    """Do what the command line asks and print what it took as JSON."""
    options = _options()
    django.setup()
    from bench import jobs

    rest, tell = (jobs.rest_unrecorded, jobs.tell_unrecorded) if options.not_durable else (jobs.rest, jobs.tell)
    if options.task == "fill":
        _in_bulk(rest, options.jobs, options.ms)
    elif options.task == "pickup":
        send(tell.enqueue, options.jobs)
    elif options.task in ("many", "members"):
        print(json.dumps(_streamed(rest, options.jobs, in_batch=options.task == "members")))
    elif options.task == "settle":
        recording.settle_all()
    elif options.task == "record":
        print(json.dumps(recording.recorded(options.jobs)))
    else:
        print(json.dumps(_rates(rest, options.jobs)))


def _rates(job: Any, jobs: int) -> dict[str, float]:
    job.enqueue(0)
    return {
        "one_per_s": per_second(jobs, lambda: _one_by_one(job, jobs)),
        "in_100s_per_s": per_second(jobs, lambda: _in_transactions(job, jobs)),
        "bulk_per_s": per_second(10 * jobs, lambda: _in_bulk(job, 10 * jobs, 0)),
    }


def _streamed(job: Any, jobs: int, *, in_batch: bool) -> dict[str, float]:
    from jobs.batches import batch

    def calls(count: int) -> Iterator[tuple[int]]:
        return ((0,) for _ in range(count))

    def in_one(count: int) -> None:
        with batch("bench") as b:
            b.enqueue_many(job, calls(count))

    fill = in_one if in_batch else lambda count: job.enqueue_many(calls(count))
    fill(1)
    before = _peak_mb()
    rate = per_second(jobs, lambda: fill(jobs))
    return {"filled_per_s": rate, "grown_mb": _peak_mb() - before}


def _peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _one_by_one(job: Any, jobs: int) -> None:
    for _ in range(jobs):
        job.enqueue(0)


def _in_transactions(job: Any, jobs: int) -> None:
    from django.db import transaction

    for _ in range(jobs // 100):
        with transaction.atomic():
            _one_by_one(job, 100)


def _in_bulk(job: Any, jobs: int, ms: int) -> None:
    for start in range(0, jobs, BULK):
        job.enqueue_many([(ms,)] * min(BULK, jobs - start))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("fill", "many", "members", "enqueue", "pickup", "settle", "record"))
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--ms", type=int, default=0)
    parser.add_argument("--not-durable", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
