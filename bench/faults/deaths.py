"""Jobs kill their own process.

`process-death`: one job in 20 kills its process, ends it by `os._exit(0)`, or asks for more memory than there may be,
once; its neighbours must not mind. `poison`: one job kills its process each time. `crash-loop`: a worker whose
processes end as soon as they begin, beside one that works.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import time
from collections import Counter
from collections.abc import Sequence

from bench.faults.judge import NO_KEY
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record, note

WORKERS = 4
_ONE_IN = 20
_WAYS = ("kill", "exit", "memory")
# What a worker may have beyond what it has at its start; a job asks for more.
_MORE_BYTES = 2**30
_BACKOFF_SECONDS = 0.5
_MOST_ATTEMPTS = 6
# Deaths that bury a run.
_DEATHS = 3
# One in company is not counted against it: nobody knows yet which of them it was.
_UNCOUNTED = 1
_PILL = 0
_STARTS_PER_SECOND = 1.0
_LOOP_SECONDS = {"quick": 10.0, "full": 60.0}


def process_death(settings: Settings) -> Result:
    """Let one job in 20 kill its process."""
    with trial(settings, workers=WORKERS, limit_seconds=120 + settings.jobs / 2) as one:
        one.ours.before_work = lambda number: limit_memory()
        one.fleet.keep_running()
        one.fleet.fork(lambda: enqueue_mortals(one, settings.jobs))
        one.until_over(settings.jobs)
        records = one.records()
        mortals = [key for key in range(settings.jobs) if way_of(settings.seed, key)]
        attempts = attempts_of_rows(one)
        hasty = count_hasty(records, mortals)
        broken = (
            [f"a run has {max(attempts)} attempts, more than {_MOST_ATTEMPTS}"]
            if max(attempts, default=0) > _MOST_ATTEMPTS
            else []
        )
        broken += [f"{hasty} retries came without their wait"] if hasty else []
        return one.result(
            planned=sum(way_of(settings.seed, key) not in ("", "memory") for key in mortals),
            jobs=settings.jobs,
            broken=broken,
            figures={"attempts": {str(count): runs for count, runs in sorted(attempts.items())}},
            lines=["attempts: " + ", ".join(f"{runs} runs with {count}" for count, runs in sorted(attempts.items()))],
        )


def poison(settings: Settings) -> Result:
    """Let one job kill its process each time, among many that do not."""
    with trial(settings, workers=WORKERS, limit_seconds=120 + settings.jobs / 4) as one:
        one.fleet.keep_running()
        one.fleet.fork(lambda: enqueue_with_pill(one, settings.jobs))
        one.until_over(settings.jobs + 1)
        records = one.records()
        deaths = [record for record in records if record.kind == "fault"]
        swallowed = next((record.at for record in records if record.kind == "start" and record.key == _PILL), 0.0)
        quarantined = round(deaths[-1].at - swallowed, 2) if deaths else 0.0
        verdict = _burial_of_pill(one)
        result = one.result(planned=_DEATHS, jobs=settings.jobs + 1, may=("failed",))
        broken = result.broken
        if result.counters.failed != 1 or verdict != "killed_worker":
            broken = [*broken, f"{result.counters.failed} runs failed, and the pill is buried as {verdict!r}"]
        if len(deaths) > _DEATHS + _UNCOUNTED:
            broken = [*broken, f"the pill killed {len(deaths)} processes"]
        return Result(
            result.counters,
            broken,
            result.wall_s,
            result.limit_s,
            result.log,
            {"worker_deaths": len(deaths), "quarantine_s": quarantined},
            [f"the pill killed {len(deaths)} processes and was buried {quarantined} s after its first start"],
        )


def crash_loop(settings: Settings) -> Result:
    """Let the processes of one worker end at once, while another works on other queues."""
    seconds = _LOOP_SECONDS.get(settings.profile, _LOOP_SECONDS["full"])
    with trial(settings, workers=2, limit_seconds=60 + seconds + settings.jobs / 4) as one:
        one.ours.before_work = end_at_birth
        started = time.monotonic()
        one.fleet.keep_running()
        one.enqueue(settings.jobs)
        over = one.until_over(settings.jobs, act=lambda: time.monotonic() - started >= seconds)
        births = sum(record.kind == "born" for record in one.records())
        rate = births / (time.monotonic() - started)
        broken = [f"{rate:.2f} starts per second"] if births > 2 and rate > _STARTS_PER_SECOND else []
        broken += [] if births else ["no process was started"]
        return one.result(
            planned=0,
            jobs=settings.jobs,
            broken=broken + ([] if over else ["the sound worker did not come to its end"]),
            figures={"starts_per_minute": round(60 * rate, 1), "starts": births},
            lines=[f"{births} starts, {60 * rate:.0f} in a minute"],
        )


def end_at_birth(number: int) -> None:
    """Make the processes of the first worker end before they do anything."""
    if number:
        return
    from jobs.worker.child import Child

    def run(self: Child) -> None:
        note("born", NO_KEY)
        os._exit(3)

    Child.run = run  # type: ignore[method-assign]


def way_of(seed: int, key: int) -> str:
    """How a job dies, "" for one that does not."""
    dice = random.Random(f"deaths/{seed}/{key}")
    return dice.choice(_WAYS) if dice.randrange(_ONE_IN) == 0 else ""


def limit_memory() -> None:
    """Let this process and its children have little more than they have."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + _MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def enqueue_mortals(trial: Trial, jobs: int) -> None:
    from bench.faults.sides import QUEUES, note_each
    from bench.jobs import mortal

    handles = [mortal.using(queue=queue) for queue in QUEUES]

    def enqueue(key: int) -> str:
        how = way_of(trial.settings.seed, key)
        return str(handles[key % len(handles)].enqueue(key, trial.job_ms(key), how, 1 if how else 0).id)

    note_each(range(jobs), enqueue)


def enqueue_with_pill(trial: Trial, jobs: int) -> None:
    from bench.faults.sides import note_each
    from bench.jobs import mortal

    handle = mortal.using(queue="critical")
    note_each([_PILL], lambda key: str(handle.enqueue(key, 20, "kill", 10**6).id))
    trial.side.enqueue_all(jobs, trial.job_ms, start=_PILL + 1)


def attempts_of_rows(trial: Trial) -> Counter[int]:
    """How many runs made so many attempts that counted."""
    rows = trial.ours.database.rows("SELECT attempts, count(*) FROM jobs_jobrun GROUP BY attempts")
    return Counter({int(str(attempts)): int(str(runs)) for attempts, runs in rows})


def count_hasty(records: Sequence[Record], keys: Sequence[int]) -> int:
    """Retries, of these jobs, that came sooner after the start before than their back-off says."""
    starts: dict[int, list[Record]] = {}
    for record in records:
        if record.kind == "start" and record.key in keys:
            starts.setdefault(record.key, []).append(record)
    pairs = [pair for life in starts.values() for pair in itertools.pairwise(life)]
    # An attempt that was not alone in its process is made again at once, under the same number.
    return sum(b.fact > a.fact and b.at - a.at < 0.8 * _BACKOFF_SECONDS for a, b in pairs)


def _burial_of_pill(trial: Trial) -> str:
    rows = trial.ours.database.rows("SELECT reason FROM jobs_deadjob")
    return str(rows[0][0]) if len(rows) == 1 else f"{len(rows)} burials"
