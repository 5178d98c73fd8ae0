"""Very many short jobs, some of which fail or are cancelled: nothing may grow for ever.

1. Jobs are enqueued in bulk, as fast as they are worked off; one in 20 fails and is buried, one in 100 is cancelled.
2. Now and then the memory of Valkey and of the workers is read.
3. In the end each key must have a life, or be one of those that do not grow with the jobs.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench.faults.trial import Result, Settings, Trial, trial
from bench.processes import family

WORKERS = 2
_BULK = 1_000
_WAITING = 5_000
_FAILED_IN, _CANCELLED_IN = 20, 100
# These hold what is capped, or as many as there are workers and queues.
_CAPPED = (
    "rq:queue:",
    "rq:queues",
    "rq:failed:",
    "rq:scheduled:",
    "rq:wip:",
    "rq:worker",
    "jobs:",
)
# Later halves may need this much more memory than earlier ones.
_GROWTH = 1.25


def run(settings: Settings) -> Result:
    """Let it happen."""
    with trial(settings, workers=WORKERS, limit_seconds=600 + settings.jobs / 100, keeps_data=False) as one:
        one.ours.options["concurrency"] = 10
        one.fleet.keep_running()
        client = one.fleet.fork(lambda: enqueue(one, settings.jobs))
        readings: list[tuple[int, int]] = []
        step = max(1, settings.jobs // 10)

        def look() -> bool:
            over = one.side.count_over()
            if over >= step * (len(readings) + 1):
                readings.append((used_by_valkey(one), used_by_workers(one)))
            return one.fleet.has_ended(client)

        one.until_over(settings.jobs, act=look)
        eternal = keys_without_life(one)
        workers = [worker for _, worker in readings]
        half = len(workers) // 2
        grown = max(workers[half:], default=0) / max(1, max(workers[:half], default=1))
        broken = [f"{len(eternal)} keys have no life, such as {sorted(eternal)[:3]}"] if eternal else []
        broken += [f"the workers' memory grew by {grown:.2f}"] if grown > _GROWTH else []
        failed = one.ours.count("jobs_jobrun WHERE state = 'dead'")
        over = one.ours.count("jobs_jobrun WHERE ended_at IS NOT NULL")
        broken += [f"{settings.jobs - over} runs have not ended"] if over < settings.jobs else []
        per_job = readings[-1][0] / settings.jobs if readings else 0.0
        return one.result(
            planned=0,
            jobs=0,
            may=("failed",),
            broken=broken,
            figures={
                "jobs": settings.jobs,
                "dead": failed,
                "redis_bytes_per_job": round(per_job, 1),
                "readings": readings,
                "keys_without_life": len(eternal),
            },
            lines=[
                f"{over} ended, {failed} of them dead; {per_job:.0f} bytes of Valkey per job",
                f"keys without life: {len(eternal)}; the workers' memory grew by {grown:.2f}",
            ],
        )


def enqueue(trial: Trial, jobs: int) -> None:
    """Keep some thousands waiting until all have been asked for."""
    from bench.jobs import short
    from jobs import runs
    from jobs.errors import NotCancellable
    from jobs.models import JobRun

    for start in range(0, jobs, _BULK):
        while trial.ours.redis.llen("rq:queue:default") > _WAITING:
            time.sleep(0.05)
        keys = range(start, min(jobs, start + _BULK))
        made = short.enqueue_many([(key % _FAILED_IN == 1,) for key in keys])
        for key, run in zip(keys, made, strict=True):
            if key % _CANCELLED_IN == 0:
                try:
                    runs.cancel(JobRun.objects.get(pk=run.id), actor="soak")
                except NotCancellable:
                    continue


def used_by_valkey(trial: Trial) -> int:
    """Bytes."""
    return int(trial.ours.redis.info("memory")["used_memory"])


def used_by_workers(trial: Trial) -> int:
    """Bytes that the workers and their children have to themselves."""
    return sum(_private_bytes(member) for pid in trial.fleet.pids for member in family(pid))


def _private_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def keys_without_life(trial: Trial) -> list[str]:
    """Keys that stay for ever and are not among those that are capped."""
    redis: Any = trial.ours.redis
    keys = [key.decode() for key in redis.scan_iter(count=1000)]
    return [key for key in keys if not key.startswith(_CAPPED) and redis.ttl(key) == -1]
