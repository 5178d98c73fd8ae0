"""Puts runs where they wait, and takes them back before they start."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from rq.utils import utcformat

from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.foreign import Foreign, restored_fields
from jobs.errors import BrokerUnavailable

# One script call of this many runs holds the server for about 2 ms.
_CHUNK = 250

Withdrawn = Literal["withdrawn", "absent", "started", "ended"]


@dataclass(frozen=True)
class Message:
    """One run as Redis gets it. `payload` is [positional, by name]; `due_at` None is now; `attempts` is what
    `using` set for this run alone, None for what the job's policy says; `begun` counts those made before.

    `description` is shown on RQ's pages and logs, so it carries masked arguments only. `foreign` is the message as
    plain RQ wrote it, in the place of the payload.
    """

    run_id: str
    name: str
    queue: str
    life: int
    payload: Sequence[Any]
    description: str
    created_at: datetime
    timeout: float
    durable: bool
    attempts: int | None = None
    begun: int = 0
    due_at: datetime | None = None
    parent: str = ""
    correlation: str = ""
    foreign: Foreign | None = None

    def fields(self, pushed_at: str) -> dict[str, Any]:
        """The hash, in RQ's own words where it has one."""
        if self.foreign is not None:
            return self._fields_of(self.foreign, pushed_at)
        args, kwargs = self.payload
        return {
            "data": json.dumps([self.name, None, args, kwargs], separators=(",", ":")),
            "created_at": utcformat(self.created_at),
            "enqueued_at": pushed_at,
            "origin": self.queue,
            "description": self.description,
            "timeout": max(1, int(self.timeout)),
            "life": self.life,
            "attempts": self.begun,
            "own_attempts": self.attempts or "",
            "durable": int(self.durable),
            "parent": self.parent,
            "correlation": self.correlation,
        }

    def _fields_of(self, foreign: Foreign, pushed_at: str) -> dict[str, Any]:
        return {
            **restored_fields(foreign.fields),
            "created_at": utcformat(self.created_at),
            "enqueued_at": pushed_at,
            "origin": self.queue,
            "description": self.description,
            "life": self.life,
            "attempts": self.begun,
            "foreign": foreign.row_id,
        }


class QueuesRefused(BrokerUnavailable):
    """A key of these queues is in use for something else."""

    def __init__(self, queues: Set[str]) -> None:
        wanted = [key(queue) for queue in sorted(queues) for key in (keys.queue, keys.scheduled, keys.failed)]
        super().__init__(
            f"{', '.join(wanted)} or {keys.QUEUES} is in use for something else. Rename or delete that key."
        )
        self.queues = frozenset(queues)


def push(messages: Sequence[Message], *, at: datetime) -> int:
    """Put the runs in their queues, or in the scheduled sets. Returns how many were not there already.

    May be repeated. Raises `BrokerUnavailable`, and then some may be there: `QueuesRefused` when a queue's key is
    in use for something else, after all others have got their runs.
    """
    pushed_at = utcformat(at)
    added = 0
    refused: set[str] = set()
    for chunk in _chunks(messages):
        arguments: list[Any] = []
        for message in chunk:
            due = "" if message.due_at is None else int(message.due_at.timestamp() * 1000)
            fields = [word for pair in message.fields(pushed_at).items() for word in pair]
            arguments += [message.run_id, message.queue, message.life, due, len(fields), *fields]
        answers = lua.run("push", arguments)
        added += answers.count(1)
        refused.update(message.queue for message, answer in zip(chunk, answers, strict=True) if answer < 0)
    if refused:
        raise QueuesRefused(refused)
    return added


def missing(runs: Sequence[tuple[str, int]]) -> list[int]:
    """Which of these runs, each an id and a life, a push would put there: by their places. Raises `BrokerUnavailable`.

    Many times cheaper than to push them again.
    """
    words = [word for run in runs for word in run]
    found: list[int] = lua.run("missing", words) if runs else []
    return found


def withdraw(run_id: str, *, queue: str, life: int) -> Withdrawn:
    """Take a run back before it starts. Raises `BrokerUnavailable`."""
    answer: Withdrawn = lua.run("withdraw", [run_id, queue, life]).decode()
    return answer


def forget_failed(runs: Sequence[tuple[str, str]]) -> None:
    """Remove dead runs, given by id and queue, from what RQ's tools show as failed. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    for run_id, queue in runs:
        pipeline.zrem(keys.failed(queue), run_id)
        pipeline.delete(keys.job(run_id))
    with errors_named():
        pipeline.execute()


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    rest = iter(messages)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
