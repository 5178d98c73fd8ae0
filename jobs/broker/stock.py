"""Finds workers and schedulers of stock RQ on our queues. They take jobs without a lease, and lose them. Looks only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rq.defaults import RQ_KEY_PREFIX

from jobs.broker import keys
from jobs.broker.connection import client, errors_named

# What our workers write beside RQ's own fields.
MARK = "engine"
OURS = "jobs"


def found(queues: Sequence[str]) -> list[str]:
    """Each of them in words, such as `worker "a1" on default`. Raises `BrokerUnavailable`."""
    with errors_named():
        return [*_workers(queues), *_schedulers(queues)]


def _workers(queues: Sequence[str]) -> Iterator[str]:
    for queue in queues:
        for member in _members(f"{RQ_KEY_PREFIX}:workers:{queue}"):
            name = member.removeprefix(keys.worker(""))
            # One whose hash has expired is gone.
            if client().type(keys.worker(name)) == b"hash" and not client().hexists(keys.worker(name), MARK):
                yield f'worker "{name}" on {queue}'


def _schedulers(queues: Sequence[str]) -> Iterator[str]:
    for queue in queues:
        if client().exists(f"{RQ_KEY_PREFIX}:scheduler-lock:{queue}"):
            yield f"scheduler on {queue}"


def _members(key: str) -> list[str]:
    if client().type(key) != b"set":
        return []
    return sorted(member.decode(errors="replace") for member in client().smembers(key))
