"""Fills a batch in a process of its own, as a management command would, and tells how much memory that took.

`python -m tests.scenarios.filling KEY MEMBERS`. Asked again with the same key it goes on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import django

SLICE = 1000


def fill(key: str, members: int) -> None:
    """Add the members by slices, each to one of two queues, as a generator gives them."""
    from jobs import batches
    from tests.sample import jobs as sample

    told = {f"on_{event}": sample.hear.prepare(event) for event in ("success", "complete", "death")}
    with batches.batch("A large one", key=key, **told) as filled:
        for first in range(0, members, SLICE):
            job = sample.belong.using(queue="default" if first // SLICE % 2 else "low")
            filled.enqueue_many(job, _calls(first, min(first + SLICE, members)), once=f"from {first}")


def _calls(first: int, end: int) -> Iterator[tuple[int]]:
    yield from ((number,) for number in range(first, end))


def _memory_mb(field: str) -> float:
    """What this process has of it: `VmRSS` now, `VmHWM` at its peak."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


def main() -> None:
    django.setup()
    from tests.sample import jobs as sample

    # What the first asking loads is there in an idle process too.
    sample.hear.enqueue("begin")
    idle = _memory_mb("VmRSS")
    fill(sys.argv[1], int(sys.argv[2]))
    print(f"{_memory_mb('VmHWM') - idle:.1f}")


if __name__ == "__main__":
    main()
