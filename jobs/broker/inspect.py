"""Looks at Redis and changes nothing: no registry clean-up, no maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.broker import keys
from jobs.broker.connection import client, errors_named


@dataclass(frozen=True)
class QueueNow:
    """Runs of one queue by where they are."""

    name: str
    depth: int
    started: int
    scheduled: int


def queues_now(names: Sequence[str]) -> list[QueueNow]:
    """Depths, in one round trip. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    for name in names:
        pipeline.llen(keys.queue(name))
        pipeline.zcard(f"rq:wip:{name}")
        pipeline.zcard(keys.scheduled(name))
    with errors_named():
        answers = pipeline.execute()
    return [QueueNow(name, *answers[3 * index : 3 * index + 3]) for index, name in enumerate(names)]


def anything_queued(names: Sequence[str]) -> bool:
    """Whether one of the queues has a run that could start now. Raises `BrokerUnavailable`."""
    with errors_named():
        return bool(client().exists(*[keys.queue(name) for name in names]))


def ping() -> None:
    """Raises `BrokerUnavailable` when the server does not answer."""
    with errors_named():
        client().ping()


def server() -> dict[str, Any]:
    """The server's version and what it does with memory and disk. Raises `BrokerUnavailable`."""
    with errors_named():
        info: dict[str, Any] = client().info()
        return info
