"""What members of a batch cost beside runs of none: to fill, in memory, and to record."""

from __future__ import annotations

import argparse

from bench import telling
from bench.place import own_place
from bench.telling import as_json, medians, table

_TARGETS = ("ours_sqlite", "ours_postgresql")
_KINDS = {"many": "", "members": ", of a batch"}


def main(options: argparse.Namespace) -> int:
    """Fill, settle and record runs of no batch and of one in turn, `--rounds` times; print the medians."""
    samples: dict[str, list[dict[str, float]]] = {}
    with own_place(options.targets or _TARGETS) as (place, targets):
        for number in range(options.rounds):
            for target in targets:
                # Whoever goes first has the colder machine.
                for kind in sorted(_KINDS, reverse=bool(number % 2)):
                    place.renew(target)
                    filled = place.ask(target, kind, jobs=options.jobs)
                    place.ask(target, "settle", jobs=options.jobs)
                    recorded = place.ask(target, "record", jobs=options.jobs)
                    samples.setdefault(f"{target.name}{_KINDS[kind]}", []).append(filled | recorded)
    results = medians(samples)
    print(table(results, left_out=place.left_out))
    if options.json:
        print(as_json("batches", results, left_out=place.left_out))
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    telling.add_options(parser, jobs=20_000, of="Runs in a round", rounds=3)
    parser.set_defaults(main=main)
