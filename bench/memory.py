"""What a child weighs over many jobs, whether it grows, and how long a worker takes to start."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench import ledger
from bench.place import Place, own_place, wait_until
from bench.processes import family, running
from bench.targets import Target
from bench.telling import as_json, as_table

MOST_MB = 70.0
MOST_STARTUP_SECONDS = 1.0
# What an interpreter's memory breathes by: 20 bytes kept of each of the last 50,000 jobs would be as much.
MOST_GROWTH_MB = 1.0
_SAMPLES = 10
# Imports, connections and caches come with the first half of the jobs.
_SETTLED = 5
_STARTS = 5
_LIMIT_SECONDS = 900.0
_OURS = ("ours_sqlite", "ours_postgresql", "ours_not_durable")


def main(options: argparse.Namespace) -> int:
    """Let one child run all jobs, weighing it ten times; 1 when it is too heavy, grows, or starts too slowly."""
    results, broken = {}, []
    with own_place(options.targets) as (place, targets):
        for target in targets:
            samples = weigh(target, place, jobs=options.jobs)
            print(as_table([{"jobs": jobs, "child_mb": child} for jobs, child in samples], ["jobs", "child_mb"]))
            figures = _figures(target, [child for _, child in samples], place)
            broken += [f"{target.name}: {promise}" for promise in _broken(figures)]
            results[target.name] = figures
    print(as_table([{"target": name, **figures} for name, figures in results.items()], ["target", *_FIGURES]))
    for promise in broken:
        print(f"BROKEN: {promise}")
    if options.json:
        print(as_json("memory", results, jobs=options.jobs, broken=broken, left_out=place.left_out))
    return int(bool(broken))


_FIGURES = ("rss_mb", "growth_mb", "startup_s")


def weigh(target: Target, place: Place, *, jobs: int) -> list[tuple[int, float]]:
    """Jobs that were taken, and the resident megabytes of the child then, ten times and at the end."""
    place.renew(target)
    place.ask(target, "fill", jobs=jobs)
    samples = []
    with place.hidden(target) as show, place.worker(target) as worker:
        child = _child(place)
        show()
        for part in range(1, _SAMPLES + 1):
            taken = jobs * part // _SAMPLES
            _wait_until_left(jobs - taken, target, place)
            samples.append((taken, _resident_mb(child)))
        if child not in family(worker.pid):
            raise RuntimeError("The child was replaced meanwhile: what was weighed is not one child.")
    return samples


def _wait_until_left(jobs: int, target: Target, place: Place) -> None:
    wait_until(lambda: place.redis.llen(target.queue) <= jobs, seconds=_LIMIT_SECONDS, what=f"{jobs} jobs to be left")


def startup_seconds(target: Target, place: Place) -> float:
    """From the command to the first line of a job that waits."""
    place.renew(target)
    place.ask(target, "pickup", jobs=1)
    started_at = time.monotonic()
    with running(target.worker, environment=place.environment(target), log=place.folder / "start.log"):
        wait_until(lambda: _starts(place.ledger), seconds=60, what="the first job", every=0.01)
    return _starts(place.ledger)[0] - started_at


def _figures(target: Target, weights: Sequence[float], place: Place) -> dict[str, float]:
    return {
        "rss_mb": round(max(weights), 1),
        "growth_mb": round(statistics.median(weights[-3:]) - weights[_SETTLED - 1], 1),
        # What else the machine does meanwhile only adds.
        "startup_s": round(min(startup_seconds(target, place) for _ in range(_STARTS)), 2),
    }


def _broken(figures: dict[str, float]) -> list[str]:
    limits = {"rss_mb": MOST_MB, "growth_mb": MOST_GROWTH_MB, "startup_s": MOST_STARTUP_SECONDS}
    return [f"{name} is {figures[name]}, not {most} or less" for name, most in limits.items() if figures[name] > most]


def _starts(folder: Path) -> list[float]:
    return [record.at for record in ledger.read(folder) if record.kind == "start"]


def _child(place: Place) -> int:
    """The pid of the one process that claims."""
    (name,) = place.redis.smembers("rq:workers")
    return int(place.redis.hget(name, "pid"))


def _resident_mb(pid: int) -> float:
    """Resident memory, with what is shared with the supervisor that it was forked from."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return round(int(line.split()[1]) / 1024, 1)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=100_000, help="Jobs for one child")
    parser.add_argument("--targets", nargs="+", default=["ours_sqlite"], choices=_OURS, help="Which of ours")
    parser.add_argument("--json", action="store_true", help="Print one line of JSON at the end")
    parser.set_defaults(main=main)
