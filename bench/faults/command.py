"""What is lost when processes are killed: the scenarios of the fault plan, ours or stock RQ."""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.faults.worker_kill import Result, Settings, run

SCENARIOS = {"worker-kill": run}
# Jobs and kills.
PROFILES = {"quick": (2_000, 8), "full": (10_000, 30)}


def main(options: argparse.Namespace) -> int:
    """Run a scenario and print a line; 1 when `ours` broke a promise."""
    jobs, kills = PROFILES[options.profile]
    settings = Settings(
        target=options.target,
        seed=random.SystemRandom().randrange(10**6) if options.seed == "random" else int(options.seed),
        jobs=options.jobs if options.jobs is not None else jobs,
        kills=options.kills if options.kills is not None else kills,
        limit_seconds=options.limit,
    )
    result = SCENARIOS[options.scenario](settings)
    report = _report(options.scenario, options.profile, settings, result)
    print(_line(report))
    for promise in report["broken"]:
        print(f"  {promise}")
    if options.verbose:
        print(result.log, file=sys.stderr)
    _hand_out(report, options)
    return int(settings.target == "ours" and bool(report["broken"]))


def _report(scenario: str, profile: str, settings: Settings, result: Result) -> dict[str, Any]:
    broken = result.counters.broken()
    return {
        "scenario": scenario,
        "target": settings.target,
        "seed": settings.seed,
        "profile": profile,
        **asdict(result.counters),
        "wall_s": result.wall_s,
        "limit_s": result.limit_s,
        "invariant": "lost, unexpected, duplicate_effects, failed, stuck 0; every kill hits; recovery_p95_s <= 30",
        "broken": broken,
        "verdict": "FAIL" if broken else "PASS",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("rq", "redis", "django")},
    }


def _line(report: dict[str, Any]) -> str:
    return (
        "{scenario} {target} seed={seed} ok={ok}/{acknowledged} hits={hits}/{planned} lost={lost} "
        "unexpected={unexpected} dup_runs={duplicate_runs} dup_effects={duplicate_effects} recovered={recovered} "
        "failed={failed} stuck={stuck} absorbed={absorbed} "
        "p95={recovery_p95_s} s wall={wall_s} s {verdict}"
    ).format(**report)


def _hand_out(report: dict[str, Any], options: argparse.Namespace) -> None:
    if options.out:
        name = f"{report['scenario']}-{report['target']}-{report['seed']}.json"
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / name).write_text(json.dumps(report, indent=2) + "\n")
    if options.json:
        print(json.dumps(report))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", choices=tuple(SCENARIOS), required=True)
    parser.add_argument("--target", choices=("ours", "stock"), default="ours")
    parser.add_argument("--seed", default="7", help='A number, or "random" (default 7)')
    parser.add_argument("--profile", choices=tuple(PROFILES), default="quick", help="How much (default quick)")
    parser.add_argument("--jobs", type=int, help="Jobs, instead of the profile's")
    parser.add_argument("--kills", type=int, help="Kills, instead of the profile's")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="When to stop whatever has not ended")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="Write a JSON file there too")
    parser.add_argument("--verbose", action="store_true", help="Print the end of the workers' log")
    parser.add_argument("--json", action="store_true", help="Print one line of JSON at the end")
    parser.set_defaults(main=main)
