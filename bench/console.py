"""How long the pages of the console take, and what they ask, with a million runs behind them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

from bench.place import own_place
from bench.telling import as_table

MOST_MS = 200.0
MOST_QUERIES = 15
MOST_REDIS_MS = 5.0
_TARGETS = {"sqlite": "ours_sqlite", "postgresql": "ours_postgresql"}


def main(options: argparse.Namespace) -> int:
    """Fill the tables, ask for each page some times, print the figures; 1 when a page is over a limit."""
    with own_place([_TARGETS[options.database]]) as (place, targets):
        for target in targets:
            target = dataclasses.replace(target, client="bench.pages")
            place.renew(target)
            started = time.monotonic()
            place.ask(target, "fill", jobs=options.runs, queued=min(options.queued, options.runs // 5))
            print(
                f"{options.runs:,} runs in {options.database}, filled in {time.monotonic() - started:.0f} s",
                file=sys.stderr,
            )
            pages = place.ask(target, "ask", rounds=options.rounds)
    if place.left_out:
        print(f"left out: {place.left_out}")
        return 1
    broken = [promise for name, one in pages.items() for promise in _broken(name, one, most_ms=options.most_ms)]
    print(as_table([{"page": name, **one} for name, one in pages.items()], ("page", *_FIGURES)))
    for promise in broken:
        print(f"BROKEN: {promise}")
    if options.json:
        print(
            json.dumps(
                {
                    "bench": "console",
                    "database": options.database,
                    "runs": options.runs,
                    "pages": pages,
                    "broken": broken,
                }
            )
        )
    return int(bool(broken))


_FIGURES = ("p50_ms", "p95_ms", "queries", "redis_ms")


def _broken(name: str, figures: dict[str, float], *, most_ms: float = MOST_MS) -> list[str]:
    """What a page promises and does not keep."""
    limits = {"p95_ms": most_ms, "queries": MOST_QUERIES, "redis_ms": MOST_REDIS_MS}
    return [
        f"{name}: {figure} is {figures[figure]:g}, the most is {most:g}"
        for figure, most in limits.items()
        if figures[figure] > most
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=1_000_000, help="Runs in the tables")
    parser.add_argument("--queued", type=int, default=100_000, help="Of these wait in Valkey, a fifth at the most")
    parser.add_argument("--rounds", type=int, default=20, help="Times that each page is asked for")
    parser.add_argument("--most-ms", type=float, default=MOST_MS, help="What the p95 of a page may be")
    parser.add_argument("--database", choices=tuple(_TARGETS), default="sqlite")
    parser.add_argument("--json", action="store_true", help="Print one line of JSON at the end")
    parser.set_defaults(main=main)
