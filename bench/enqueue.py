"""How fast one client asks for jobs: one by one, in transactions of 100, in bulk."""

from __future__ import annotations

import argparse

from bench import telling
from bench.place import own_place
from bench.telling import as_json, medians, table

# A client's speed does not depend on which worker follows.
_CLIENTS = ["ours_sqlite", "ours_postgresql", "ours_not_durable", "rq_simple", "celery_prefork", "dramatiq", "huey"]


_PEERS = {"rq_simple": "rq", "celery_prefork": "celery"}


def main(options: argparse.Namespace) -> int:
    """Let each client enqueue in its turn, `--rounds` times; print the medians."""
    samples: dict[str, list[dict[str, float]]] = {}
    with own_place(options.targets or _CLIENTS) as (place, targets):
        for _ in range(options.rounds):
            for target in targets:
                place.renew(target)
                name = _PEERS.get(target.name, target.name)
                samples.setdefault(name, []).append(place.ask(target, "enqueue", jobs=options.jobs))
    results = medians(samples)
    print(table(results, ratio_of="one_per_s", to="rq", left_out=place.left_out))
    if options.json:
        print(as_json("enqueue", results, left_out=place.left_out))
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    telling.add_options(parser, jobs=2_000, of="Jobs one by one; ten times as many in bulk", rounds=3)
    parser.set_defaults(main=main)
