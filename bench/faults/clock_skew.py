"""The clocks of some workers are wrong: by minutes, by an hour, or jumping back while they work.

1. Workers start as programs of their own, each with its clock; the server and the client have the true one.
2. A client enqueues short jobs, some that last longer than a lease, some that are due a little later, and some that
   fail once and are retried after 2 s. One worker's clock jumps back by an hour.
3. No run may be taken back from a worker that lives, and what is due must start within 2 s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.faults.fleet import Hit
from bench.faults.sides import QUEUES
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record, note
from bench.processes import ROOT
from bench.telling import percentile

# Seconds by which each worker's clock is wrong; the last one's jumps.
CLOCKS = (120, -120, 3600, -3600, 0)
_JUMP = -3600
_LATE_SECONDS = 2.0
_DELAY_SECONDS = 3.0
_RETRY_SECONDS = 2.0
_LONG_MS = 7_000


def run(settings: Settings) -> Result:
    """Let it happen."""
    with trial(settings, workers=len(CLOCKS), limit_seconds=120 + settings.jobs / 5) as one:
        clocks = [one.folder / f"clock-{number}" for number in range(len(CLOCKS))]
        for path, clock in zip(clocks, CLOCKS, strict=True):
            path.write_text(str(clock))
        one.ours.before_work = lambda number: become_worker(number, clocks[number])
        one.fleet.keep_running()
        one.wait(lambda: all(one.fleet.ready(number) for number in range(len(CLOCKS))), seconds=60)
        one.fleet.fork(lambda: enqueue(one))
        one.wait(lambda: one.side.count_over() >= settings.jobs // 3, seconds=60)
        clocks[-1].write_text(str(_JUMP))
        one.hits += [Hit(one.started_at, ()) for _ in CLOCKS]
        one.until_over(settings.jobs)
        records = one.records()
        reaped = int(one.ours.redis.hget("jobs:counters", "stale_settles") or 0)
        errors = lateness(records)
        worst = max((abs(error) for error in errors), default=0.0)
        broken = [f"{reaped} runs were taken back from workers that live"] if reaped else []
        broken += [f"a due job was {worst:.2f} s from its time"] if worst > _LATE_SECONDS * settings.patience else []
        broken += [] if errors else ["nothing was due"]
        return one.result(
            planned=len(CLOCKS),
            jobs=settings.jobs,
            broken=broken,
            figures={"false_reaps": reaped, "schedule_error_max_s": round(worst, 2)},
            lines=[
                f"taken back falsely: {reaped}; {len(errors)} due jobs, p95 {percentile(errors, 95):.2f} s late, "
                f"the worst {worst:.2f} s"
            ],
        )


def become_worker(number: int, clock: Path) -> None:
    """Go on as `rqworker` whose clock is what the file says."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent / "wrong_clock"), "BENCH_CLOCK": str(clock)}
    words = [sys.executable, "manage.py", "rqworker", *QUEUES, "--concurrency", "10", "--name", f"worker-{number}"]
    os.chdir(ROOT)
    os.execve(sys.executable, words, environment)


def enqueue(trial: Trial) -> None:
    """Enqueue each kind in turn."""
    from bench.jobs import stumble, work

    for key in range(trial.settings.jobs):
        note("attempted", key)
        kind = kind_of(key)
        if kind == "due":
            note("due", key, _DELAY_SECONDS)
            run = work.enqueue_in(_DELAY_SECONDS, key, 5)
        elif kind == "retried":
            run = stumble.enqueue(key, 1)
        else:
            run = work.enqueue(key, _LONG_MS if kind == "long" else trial.job_ms(key))
        note("acked", key, str(run.id))


def kind_of(key: int) -> str:
    """What kind of job it is; mostly a short one."""
    # Few enough long ones that there is a thread for what is due.
    if key % 50 == 0:
        return "long"
    return {1: "due", 2: "retried", 11: "due", 12: "retried"}.get(key % 20, "short")


def lateness(records: Sequence[Record]) -> list[float]:
    """Seconds between when a delayed or retried job was due and when it started; below zero is too soon."""
    due = {record.key: record.at + float(record.fact) for record in records if record.kind == "due"}
    due |= {record.key: record.at + _RETRY_SECONDS for record in records if record.kind == "failed"}
    last = {record.key: record.at for record in records if record.kind == "start"}
    return [last[key] - at for key, at in due.items() if key in last]
