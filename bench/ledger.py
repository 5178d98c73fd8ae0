"""What happened, told by those it happened to, in files outside Redis and the database.

Each process appends to a file of its own, a record in one write: a killed process leaves whole records or none.
Nothing is synced to the disk: what a process has written stays when it is killed, and the machine is not.
Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = "BENCH_LEDGER"

_files: dict[int, int] = {}


class Record(NamedTuple):
    """`at` is in seconds; `fact` is what belongs to the kind: an attempt's number, a run's id."""

    kind: str
    key: int
    pid: int
    at: float
    fact: Any = None


def note(kind: str, key: int, fact: Any = None) -> None:
    """Append a record to this process's file in the folder that `BENCH_LEDGER` names."""
    record = Record(kind, key, os.getpid(), time.monotonic(), fact)
    os.write(_file(), f"{json.dumps(record)}\n".encode())


def read(folder: Path) -> Iterator[Record]:
    """All records of all processes, by time."""
    lines = [line for path in folder.glob("*.ledger") for line in path.read_text().splitlines()]
    return iter(sorted((Record(*json.loads(line)) for line in lines), key=lambda record: record.at))


def _file() -> int:
    pid = os.getpid()
    if pid not in _files:
        path = Path(os.environ[FOLDER]) / f"{pid}.ledger"
        _files[pid] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return _files[pid]
