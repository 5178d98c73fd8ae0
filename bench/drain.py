"""How fast one worker empties a queue: jobs per second, CPU and round trips per job."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench import telling
from bench.place import Place, own_place, wait_until
from bench.processes import cpu_seconds
from bench.targets import REFERENCE, Target
from bench.telling import as_json, medians, table

_LIMIT_SECONDS = 300.0
_FEWEST = 50


@dataclass(frozen=True)
class Reading:
    """Meters that only go up."""

    seconds: float
    worker_cpu: float
    server_cpu: float
    commands: int
    round_trips: int

    @classmethod
    def of(cls, place: Place, pid: int) -> Reading:
        info = place.redis.info()
        return cls(
            time.perf_counter(),
            cpu_seconds(pid),
            info["used_cpu_sys"] + info["used_cpu_user"],
            # With what scripts do inside, which a round trip is not.
            info["total_commands_processed"],
            info["total_writes_processed"],
        )


def main(options: argparse.Namespace) -> int:
    """Measure all targets in turn, `--rounds` times, for each length of jobs; print the medians."""
    results = {}
    with own_place(options.targets) as (place, targets):
        for ms in options.ms:
            results[ms] = medians(_samples(targets, place, jobs=options.jobs, ms=ms, rounds=options.rounds))
            print(f"jobs of {ms} ms" if ms else "no-ops")
            print(table(results[ms], ratio_of="jobs_per_s", to=REFERENCE, left_out=place.left_out))
    if options.json:
        first, *others = results
        more = {f"results_{ms}_ms": results[ms] for ms in others}
        print(as_json("drain", results[first], job_ms=first, left_out=place.left_out, **more))
    return 0


def _samples(
    targets: Sequence[Target], place: Place, *, jobs: int, ms: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    samples: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            # Jobs that take their time need not be as many to be timed.
            count = max(_FEWEST, round(jobs * target.share / (1 + ms / 5)))
            samples[target.name].append(measure(target, place, jobs=count, ms=ms))
    return samples


def measure(target: Target, place: Place, *, jobs: int, ms: int = 0) -> dict[str, float]:
    """The figures of one drain.

    The clock starts when a ready worker takes the first job: one that polls may sleep before.
    """
    place.renew(target)
    place.ask(target, "fill", jobs=jobs, ms=ms)
    database = place.databases[target.database]
    with place.hidden(target) as show, place.worker(target) as worker:
        before = Reading.of(place, worker.pid)
        show()
        looks = wait_until(
            lambda: place.redis.llen(target.queue) < jobs, seconds=_LIMIT_SECONDS, what="the first job", every=0.001
        )
        before = replace(before, seconds=time.perf_counter())
        looks += wait_until(
            lambda: target.is_over(place.redis, database, jobs), seconds=_LIMIT_SECONDS, what="the last job"
        )
        after = Reading.of(place, worker.pid)
    return _figures(before, after, jobs=jobs, looks=looks)


def _figures(before: Reading, after: Reading, *, jobs: int, looks: int) -> dict[str, float]:
    return {
        "jobs_per_s": jobs / (after.seconds - before.seconds),
        "cpu_us": (after.worker_cpu - before.worker_cpu) / jobs * 1e6,
        "server_cpu_us": (after.server_cpu - before.server_cpu) / jobs * 1e6,
        "commands": (after.commands - before.commands) / jobs,
        # Our own looks are not the target's: INFO, RENAME, and one each time.
        "round_trips": max(0, after.round_trips - before.round_trips - looks - 2) / jobs,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    telling.add_options(parser, jobs=10_000, of="Jobs for ours; slow peers get a part of them", rounds=3)
    parser.add_argument("--ms", type=int, nargs="+", default=[0, 10], help="How long each job sleeps; 0 is a no-op")
    parser.set_defaults(main=main)
