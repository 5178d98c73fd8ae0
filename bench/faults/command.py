"""What is lost when things break: the scenarios of the fault plan, ours or stock RQ."""

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

from bench.faults import everything
from bench.faults.scenarios import SCENARIOS, Scenario
from bench.faults.sides import Stock
from bench.faults.trial import Result, Settings
from jobs.errors import ServerNotFound

ALL = "all"
_COMPLAINTS = 10
_SHOWN_CHARACTERS = 4000


def main(options: argparse.Namespace) -> int:
    """Run a scenario and print a line; 1 when `ours` broke a promise, 77 when this machine lacks what it needs."""
    if options.seed == "random":
        options.seed = str(random.SystemRandom().randrange(10**6))
    if options.scenario == ALL:
        return everything.run(options)
    scenario = SCENARIOS[options.scenario]
    if options.target not in scenario.targets:
        raise SystemExit(f"{options.scenario} is not for {options.target}: it breaks what only ours has.")
    jobs, kills = scenario.profiles.get(options.profile) or list(scenario.profiles.values())[-1]
    settings = Settings(
        target=options.target,
        seed=int(options.seed),
        jobs=options.jobs if options.jobs is not None else jobs,
        kills=options.kills if options.kills is not None else kills,
        profile=options.profile,
        limit_seconds=options.limit,
    )
    Stock.queues_each = options.queues
    try:
        result = scenario.run(settings)
    except ServerNotFound as reason:
        print(f"{options.scenario} {options.target} seed={options.seed} SKIPPED: {reason}")
        return everything.SKIPPED
    report = _report(options.scenario, scenario, settings, result)
    _tell(report, result, options)
    return int(settings.target == "ours" and bool(report["broken"]))


def _report(name: str, scenario: Scenario, settings: Settings, result: Result) -> dict[str, Any]:
    return {
        "scenario": name,
        "target": settings.target,
        "seed": settings.seed,
        "profile": settings.profile,
        "queues_each": Stock.queues_each,
        **asdict(result.counters),
        **result.figures,
        "wall_s": result.wall_s,
        "limit_s": result.limit_s,
        "invariant": scenario.invariant,
        "broken": result.broken,
        "verdict": "FAIL" if result.broken else "PASS",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in ("rq", "redis", "django")},
    }


def _tell(report: dict[str, Any], result: Result, options: argparse.Namespace) -> None:
    print(_line(report))
    for line in result.lines:
        print(f"  {line}")
    for promise in result.broken:
        print(f"  BROKEN: {promise}")
    if options.verbose:
        print(result.log[-_SHOWN_CHARACTERS:], file=sys.stderr)
    elif result.broken and report["target"] == "ours":
        print(*_complaints(result.log), sep="\n", file=sys.stderr)
    if options.out:
        name = f"{report['scenario']}-{report['target']}-{report['seed']}"
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
        (options.out / f"{name}.log").write_text(result.log)
    if options.json:
        print(json.dumps(report))


def _complaints(log: str) -> list[str]:
    """The last errors of which the workers told, each in a line."""
    return [line[:300] for line in log.splitlines() if " ERROR " in line][-_COMPLAINTS:]


def _line(report: dict[str, Any]) -> str:
    return (
        "{scenario} {target} seed={seed} ok={ok}/{acknowledged} hits={hits}/{planned} lost={lost} "
        "unexpected={unexpected} dup_runs={duplicate_runs} dup_effects={duplicate_effects} recovered={recovered} "
        "failed={failed} stuck={stuck} absorbed={absorbed} "
        "p95={recovery_p95_s} s wall={wall_s} s {verdict}"
    ).format(**report)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", choices=(*SCENARIOS, ALL), required=True, metavar="NAME", help="Or all")
    parser.add_argument("--target", choices=("ours", "stock"), default="ours")
    parser.add_argument("--queues", type=int, choices=(1, 2), default=2, help="Queues of each stock worker (default 2)")
    parser.add_argument("--seed", default="7", help='A number, or "random" (default 7)')
    parser.add_argument(
        "--profile", choices=("quick", "full", "soak"), default="quick", help="How much (default quick)"
    )
    parser.add_argument("--jobs", type=int, help="Jobs, instead of the profile's")
    parser.add_argument("--kills", type=int, help="Faults, instead of the profile's")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="When to stop whatever has not ended")
    parser.add_argument("--at-once", type=int, default=1, help="Scenarios at the same time, for all (default 1)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="Write a JSON file and the workers' log there too")
    parser.add_argument("--verbose", action="store_true", help="Print the end of the workers' log")
    parser.add_argument("--json", action="store_true", help="Print one line of JSON at the end")
    parser.set_defaults(main=main)
