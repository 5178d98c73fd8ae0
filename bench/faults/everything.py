"""All scenarios, each in a process of its own, some at the same time."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.faults.scenarios import SCENARIOS
from bench.processes import ROOT, family, kill

# What a scenario's process ends with when this machine lacks what it needs.
SKIPPED = 77
_LONG = ("failpoints", "redis-wiped")


def run(options: argparse.Namespace) -> int:
    """Run every scenario of the profile for the target; 1 when one of ours broke a promise, 77 when one was skipped."""
    names = [
        name
        for name, scenario in SCENARIOS.items()
        if options.target in scenario.targets and options.profile in scenario.profiles
    ]
    # The longest first, so that none is left alone at the end.
    names.sort(key=lambda name: name not in _LONG)
    started = time.monotonic()
    statuses: dict[str, int] = {}
    with _ended_at_last() as processes:
        while names or processes:
            while names and len(processes) < options.at_once:
                name = names.pop(0)
                processes[name] = _start(name, options)
            for name, process in list(processes.items()):
                if process.poll() is not None:
                    statuses[name] = _tell(process)
                    del processes[name]
            time.sleep(0.05)
    return _sum_up(statuses, options, seconds=time.monotonic() - started)


def _start(name: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    words = ["--scenario", name, "--target", options.target, "--profile", options.profile, "--seed", options.seed]
    words += ["--out", str(options.out)] if options.out else []
    words += ["--queues", str(options.queues)]
    words += ["--json"] if options.json else []
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "faults", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _tell(process: subprocess.Popen[str]) -> int:
    told, _ = process.communicate()
    print(told, end="", flush=True)
    return process.returncode


def _sum_up(statuses: dict[str, int], options: argparse.Namespace, *, seconds: float) -> int:
    passed = [name for name, status in statuses.items() if status == 0]
    skipped = [name for name, status in statuses.items() if status == SKIPPED]
    failed = [name for name in statuses if name not in (*passed, *skipped)]
    print(f"{len(passed)} scenarios held, {len(failed)} did not, {len(skipped)} skipped, in {seconds:.0f} s")
    if options.json:
        facts: dict[str, Any] = {"passed": passed, "failed": failed, "skipped": skipped, "wall_s": round(seconds, 1)}
        print(json.dumps({"scenario": "all", "target": options.target, "seed": int(options.seed), **facts}))
    return 1 if failed else SKIPPED if skipped else 0


@contextlib.contextmanager
def _ended_at_last() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Processes by name; those that are there at the end are asked to end, and clear up after themselves."""
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        yield processes
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=15)
            kill(family(process.pid) if process.poll() is None else [])
