"""What it costs to store the journal: CPU per run of the recording process, of the database and of Valkey."""

from __future__ import annotations

import argparse

from bench import telling
from bench.place import own_place
from bench.telling import as_json, medians, table

_TARGETS = ("ours_sqlite", "ours_postgresql")


def main(options: argparse.Namespace) -> int:
    """Fill a journal with runs that workers have settled, and store it; print the medians of the rounds."""
    with own_place(options.targets or _TARGETS) as (place, targets):
        samples: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
        for _ in range(options.rounds):
            for target in targets:
                place.renew(target)
                place.ask(target, "fill", jobs=options.jobs)
                place.ask(target, "settle", jobs=options.jobs)
                samples[target.name].append(place.ask(target, "record", jobs=options.jobs))
    results = medians(samples)
    print(table(results))
    if options.json:
        print(as_json("record", results))
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    telling.add_options(parser, jobs=20_000, of="Runs in the journal", rounds=3)
    parser.set_defaults(main=main)
