"""`python -m bench drain | enqueue | pickup | memory | record | batches | console | faults`. See `bench/README.md`."""

from __future__ import annotations

import argparse
import sys

from bench import batches, console, drain, enqueue, memory, pickup, record
from bench.faults import command as faults

_BENCHES = {
    "drain": drain,
    "enqueue": enqueue,
    "pickup": pickup,
    "memory": memory,
    "record": record,
    "batches": batches,
    "console": console,
    "faults": faults,
}


def main() -> int:
    """Run one bench; 0 when it held, 1 when an invariant broke, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Jobsite, and breaks it on purpose.")
    benches = parser.add_subparsers(required=True, metavar="BENCH")
    for name, bench in _BENCHES.items():
        bench.add_options(benches.add_parser(name, help=(bench.__doc__ or "").splitlines()[0]))
    options = parser.parse_args()
    try:
        return int(options.main(options))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
