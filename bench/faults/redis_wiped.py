"""Redis loses everything while jobs wait in it.

1. Jobs are enqueued, some of them due a little later; the workers begin. They take so long that most still wait when
   the relay has seen every one of them in its place, and would not push it again by itself.
2. Then FLUSHALL. When all have ended, the same once more with a server that is killed and
   starts on an empty folder.
3. How long it took until every run that has not ended had a place in Redis again, and whether all ran.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from bench.faults.fleet import Hit
from bench.faults.sides import QUEUES, Ours
from bench.faults.trial import Result, Settings, Trial, trial

WORKERS = 4
_DUE_IN_SECONDS = 20.0
# How long the jobs of a wipe keep the workers busy at the least: the relay looks after 5 s.
_BUSY_SECONDS = 15.0
_UNSEEN = "jobs_jobrun WHERE pushed_at IS NULL AND ended_at IS NULL"
_REBUILT_SECONDS = 120.0


def run(settings: Settings) -> Result:
    """Let it happen; half of the jobs belong to each wipe."""
    half = settings.jobs // 2
    with trial(settings, workers=WORKERS, limit_seconds=2 * _REBUILT_SECONDS + settings.jobs / 10) as one:
        one.fleet.keep_running()
        figures = {
            "rebuilt_after_flush_s": _lose(one, one.ours.redis.flushall, start=0, jobs=half),
            "rebuilt_after_restart_s": _lose(one, lambda: _start_empty(one), start=half, jobs=half),
        }
        per = 10_000 / half
        slow = [name for name, seconds in figures.items() if seconds >= _REBUILT_SECONDS]
        return one.result(
            planned=2,
            jobs=2 * half,
            broken=[f"{name} is more than {_REBUILT_SECONDS:.0f} s" for name in slow],
            figures=figures | {"rebuild_s_per_10000": round(max(figures.values()) * per, 1)},
            lines=[f"every pending run had its place again after {', '.join(f'{s} s' for s in figures.values())}"],
        )


def _lose(trial: Trial, wipe: Callable[[], object], *, start: int, jobs: int) -> float:
    """Enqueue, let a part end, wipe. Seconds until it was rebuilt; then all have ended, or it was given up."""
    side = trial.ours
    client = trial.fleet.fork(lambda: enqueue_in_bulk(trial, start, jobs))
    trial.wait(lambda: trial.fleet.has_ended(client), seconds=120)
    trial.wait(lambda: not side.count(_UNSEEN), seconds=_REBUILT_SECONDS)
    wipe()
    wiped_at = time.monotonic()
    trial.hits.append(Hit(wiped_at, ()))
    trial.wait(lambda: is_rebuilt(side), seconds=_REBUILT_SECONDS)
    seconds = round(time.monotonic() - wiped_at, 2)
    trial.until_over(start + jobs)
    return seconds


def _start_empty(trial: Trial) -> None:
    trial.server.kill()
    shutil.rmtree(trial.folder / "valkey")
    trial.server.start()


def enqueue_in_bulk(trial: Trial, start: int, jobs: int) -> None:
    """Enqueue jobs in one transaction per queue, a few of them due later."""
    from bench.jobs import work
    from bench.ledger import note

    for number, queue in enumerate(QUEUES):
        shortest = int(_BUSY_SECONDS * 1000 * WORKERS * trial.side.at_once / jobs)
        keys = range(start + number, start + jobs, len(QUEUES))
        for key in keys:
            note("attempted", key)
        handle = work.using(queue=queue)
        runs = handle.enqueue_many([(key, max(shortest, trial.job_ms(key))) for key in keys if key % 20 > 1])
        later = [
            handle.enqueue_in(_DUE_IN_SECONDS, key, max(shortest, trial.job_ms(key))) for key in keys if key % 20 <= 1
        ]
        for key, one in zip(sorted(keys, key=lambda key: key % 20 <= 1), [*runs, *later], strict=True):
            note("acked", key, str(one.id))


def is_rebuilt(side: Ours) -> bool:
    """Whether as many runs have a place in Redis, or have ended there and are not recorded, as rows say are pending."""
    try:
        pipeline = side.redis.pipeline(transaction=False)
        for queue in QUEUES:
            pipeline.llen(f"rq:queue:{queue}")
            pipeline.zcard(f"rq:scheduled:{queue}")
            pipeline.zcard(f"rq:wip:{queue}")
        pipeline.xlen("jobs:journal")
        there = sum(pipeline.execute())
    except RedisError:
        return False
    return there >= side.count("jobs_jobrun WHERE ended_at IS NULL")
