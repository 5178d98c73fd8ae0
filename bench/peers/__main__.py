"""A peer's client, in a process of its own: `python -m bench.peers TASK --peer celery --jobs 1000`."""

from __future__ import annotations

import argparse
import importlib
import json

from bench.clients import Client, send

_PEERS = ("celery", "dramatiq", "huey")


def main() -> None:
    """Do what the command line asks and print what it took as JSON."""
    options = _options()
    client: Client = importlib.import_module(f"bench.peers.{options.peer}").CLIENT
    if options.task == "fill":
        client.fill(options.jobs, options.ms)
    elif options.task == "pickup":
        send(client.tell, options.jobs)
    else:
        print(json.dumps(client.rates(options.jobs)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("fill", "enqueue", "pickup"))
    parser.add_argument("--peer", choices=_PEERS, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--ms", type=int, default=0)
    return parser.parse_args()


main()
