"""How long a job waits for a worker that has nothing else to do."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bench import ledger, telling
from bench.place import Place, own_place, wait_until
from bench.processes import cpu_seconds
from bench.targets import REFERENCE, Target
from bench.telling import as_json, medians, percentile, table

_LIMIT_SECONDS = 30.0
_IDLE_SECONDS = 3.0


def main(options: argparse.Namespace) -> int:
    """Measure all targets in turn, `--rounds` times; print the medians."""
    with own_place(options.targets) as (place, targets):
        samples: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
        for _ in range(options.rounds):
            for target in targets:
                samples[target.name].append(measure(target, place, jobs=options.jobs))
    results = medians(samples)
    print(table(results, ratio_of="p50_ms", to=REFERENCE, left_out=place.left_out))
    if options.json:
        print(as_json("pickup", results, left_out=place.left_out))
    return 0


def measure(target: Target, place: Place, *, jobs: int) -> dict[str, float]:
    """Milliseconds from the call that enqueues to the job's first line, and what the idle worker costs."""
    place.renew(target)
    with place.worker(target) as worker:
        idle = _idle_cpu_percent(worker.pid)
        place.ask(target, "pickup", jobs=jobs)
        wait_until(lambda: len(_times(place.ledger, "start")) == jobs, seconds=_LIMIT_SECONDS, what="the last start")
    sent, acked, started = (_times(place.ledger, kind) for kind in ("sent", "acked", "start"))
    waits = [(started[key] - sent[key]) * 1000 for key in started]
    calls = [(acked[key] - sent[key]) * 1000 for key in acked]
    return {
        "p50_ms": percentile(waits, 50),
        "p99_ms": percentile(waits, 99),
        "call_p50_ms": percentile(calls, 50),
        "idle_cpu_percent": idle,
    }


def _idle_cpu_percent(pid: int) -> float:
    before = cpu_seconds(pid)
    time.sleep(_IDLE_SECONDS)
    return (cpu_seconds(pid) - before) / _IDLE_SECONDS * 100


def _times(folder: Path, kind: str) -> dict[int, float]:
    return {record.key: record.at for record in ledger.read(folder) if record.kind == kind}


def add_options(parser: argparse.ArgumentParser) -> None:
    telling.add_options(parser, jobs=300, of="Jobs, one after another with pauses", rounds=1)
    parser.set_defaults(main=main)
