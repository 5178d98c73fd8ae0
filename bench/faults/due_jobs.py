"""Jobs that are due together.

`herd`: very many fall due at one moment, and as many retries after an outage of a partner; somebody who enqueues to
another queue must not wait. `scheduler-death`: several supervisors move due jobs, and one is killed while it does;
each job must be moved once, and soon.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

from bench.faults.fleet import Hit
from bench.faults.judge import NO_KEY
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record, note
from bench.processes import cpu_seconds, family, kill
from bench.telling import percentile

WORKERS = 2
_MOST_WAIT_SECONDS = 2.0
_PROBES_EVERY_SECONDS = 0.05
_AHEAD_SECONDS = 3.0
_BULK = 5_000

SUPERVISORS = 3
_GAP_SECONDS = 15.0
_QUIET_QUEUE = "low"
# So many are due at one moment, and the next at the next: thousands are moved faster than anybody can strike.
_AT_A_MOMENT = 500
_BETWEEN_SECONDS = 0.15


def herd(settings: Settings) -> Result:
    """Let `jobs` fall due at once, of which `kills` per cent fail at first, together, and are retried."""
    retried = settings.jobs * settings.kills // 100
    with trial(settings, workers=WORKERS, limit_seconds=180 + settings.jobs / 40) as one:
        one.ours.options["concurrency"] = 10
        # A server that is new is compared with the rows first; that is not what is measured.
        one.wait(lambda: one.ours.redis.exists("jobs:epoch"), seconds=60)
        enqueued = one.fleet.fork(lambda: enqueue_herd(one, settings.jobs, retried))
        one.wait(lambda: one.fleet.has_ended(enqueued), seconds=settings.jobs / 100 + 60)
        server = one.server.process.pid if one.server.process else 0
        cpu_before, began = cpu_seconds(server), time.monotonic()
        prober = one.fleet.fork(lambda: probe_on(one))
        one.wait(lambda: one.side.count_over() >= settings.jobs, seconds=one.limit_seconds)
        (one.folder / "enough").touch()
        one.wait(lambda: one.fleet.has_ended(prober), seconds=20)
        cpu = (cpu_seconds(server) - cpu_before) / (time.monotonic() - began)
        records = one.records()
        waits = waits_of_probes(records)
        one.until_over(settings.jobs + len(waits))
        p95 = percentile(waits, 95)
        broken = (
            [f"p95 of the wait in another queue is {p95:.2f} s"] if p95 > _MOST_WAIT_SECONDS * settings.patience else []
        )
        return one.result(
            planned=0,
            jobs=settings.jobs,
            broken=broken + ([] if waits else ["nobody was asked to wait"]),
            figures={
                "wait_p50_s": round(percentile(waits, 50), 3),
                "wait_p95_s": round(p95, 3),
                "redis_cpu": round(cpu, 2),
            },
            lines=[f"{len(waits)} waited beside it: p95 {p95:.3f} s; Valkey used {100 * cpu:.0f} % of a core"],
        )


def enqueue_herd(trial: Trial, jobs: int, retried: int) -> None:
    """Ask for `jobs` that are due at one moment; so many of them fail at their first attempt."""
    from datetime import timedelta

    from django.utils import timezone

    from bench.jobs import stumble

    # The moment is when this is done, or a little later.
    due = timezone.now() + timedelta(seconds=_AHEAD_SECONDS + jobs / 4_000)
    handle = stumble.using(at=due)
    for start in range(0, jobs, _BULK):
        keys = range(start, min(jobs, start + _BULK))
        for key in keys:
            note("attempted", key)
        for key, run in zip(keys, handle.enqueue_many([(key, int(key < retried)) for key in keys]), strict=True):
            note("acked", key, str(run.id))


def probe_on(trial: Trial) -> None:
    """Enqueue to another queue, again and again, until it is enough."""
    from bench.jobs import tell

    handle = tell.using(queue="critical")
    # The judge passes by what is below zero.
    key = NO_KEY - 1
    while not (trial.folder / "enough").exists():
        handle.enqueue(key)
        # What a busy database takes to store the row is no wait in the queue.
        note("sent", key)
        key -= 1
        time.sleep(_PROBES_EVERY_SECONDS)


def waits_of_probes(records: Sequence[Record]) -> list[float]:
    """Seconds from when it was asked for to the first start, of those in the other queue."""
    sent = {record.key: record.at for record in records if record.kind == "sent"}
    started: dict[int, float] = {}
    for record in records:
        if record.kind == "start" and record.key in sent:
            started.setdefault(record.key, record.at)
    last = max((record.at for record in records), default=0.0)
    # Who has not started at all has waited until the end.
    return [max(0.0, started.get(key, last) - at) for key, at in sent.items()]


def scheduler_death(settings: Settings) -> Result:
    """Kill one of three supervisors while it moves what is due; their own children work on another queue."""
    with trial(settings, workers=SUPERVISORS, limit_seconds=180 + settings.jobs / 100) as one:
        one.ours.options["queues"] = (_QUIET_QUEUE,)
        client = one.fleet.fork(lambda: enqueue_due(one, settings.jobs))
        one.wait(lambda: one.fleet.has_ended(client), seconds=settings.jobs / 100 + 60, fleet=False)
        one.fleet.keep_running()
        one.wait(lambda: all(one.fleet.ready(n) for n in range(SUPERVISORS)), seconds=30)
        victim = random.Random(f"scheduler/{settings.seed}").randrange(SUPERVISORS)
        strike_in_the_middle(one, victim)
        struck_at = time.monotonic()
        moved = one.wait(lambda: count_moved(one) >= settings.jobs, seconds=2 * _GAP_SECONDS)
        gap = time.monotonic() - struck_at
        places = [run.decode() for run in one.ours.redis.lrange("rq:queue:default", 0, -1)]
        double = sum(count - 1 for count in Counter(places).values())
        broken = [f"{double} were moved twice"] if double else []
        broken += (
            [] if moved and gap <= _GAP_SECONDS else [f"{len(set(places))} of {settings.jobs} moved in {gap:.1f} s"]
        )
        # Then they are worked off, to see that all are whole.
        one.ours.options["queues"] = ("default",)
        one.fleet.stop()
        one.fleet.keep_running()
        one.until_over(settings.jobs)
        return one.result(
            planned=1,
            jobs=settings.jobs,
            broken=broken,
            figures={"double_pushes": double, "gap_s": round(gap, 2)},
            lines=[f"moved twice: {double}; all were in their queue {gap:.2f} s after the kill"],
        )


def strike_in_the_middle(trial: Trial, victim: int) -> None:
    """Kill a worker as soon as a part of the jobs has moved; a hit when some had not yet when it was dead."""
    jobs = trial.settings.jobs
    pid = trial.fleet.ready(victim)
    pids = family(pid) if pid else []
    deadline = time.monotonic() + 60
    # There is no time to rest, or to look who its children are.
    while not 0 < count_moved(trial) < jobs and time.monotonic() < deadline:
        pass
    kill(pids)
    in_the_middle = bool(pids) and count_moved(trial) < jobs
    if in_the_middle:
        trial.hits.append(Hit(time.monotonic(), tuple(pids)))


def enqueue_due(trial: Trial, jobs: int) -> None:
    """Ask for jobs that are due, some at each of several moments, when they have all been asked for."""
    from datetime import timedelta

    from django.utils import timezone

    from bench.jobs import work

    due = timezone.now() + timedelta(seconds=_AHEAD_SECONDS + jobs / 3_000)
    for start in range(0, jobs, _AT_A_MOMENT):
        keys = range(start, min(jobs, start + _AT_A_MOMENT))
        for key in keys:
            note("attempted", key)
        for key, run in zip(keys, work.using(at=due).enqueue_many([(key, 0) for key in keys]), strict=True):
            note("acked", key, str(run.id))
        due += timedelta(seconds=_BETWEEN_SECONDS)


def count_moved(trial: Trial) -> int:
    return int(trial.ours.redis.llen("rq:queue:default"))
