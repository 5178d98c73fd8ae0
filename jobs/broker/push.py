"""Puts runs where they wait, and takes them back before they start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from rq.utils import utcformat

from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.parcels import Message, Parcel, together
from jobs.errors import BrokerUnavailable

# One script call of so many runs holds the server for about a millisecond.
_RUNS_AT_ONCE = 250
_CHARACTERS_AT_ONCE = 1_000_000
# Sent in one round trip.
_CALLS_AT_ONCE = 8

Withdrawn = Literal["withdrawn", "absent", "started", "ended"]


class QueuesRefused(BrokerUnavailable):
    """A key of these queues is in use for something else."""

    def __init__(self, queues: Set[str]) -> None:
        wanted = [key(queue) for queue in sorted(queues) for key in (keys.queue, keys.scheduled, keys.failed)]
        super().__init__(
            f"{', '.join(wanted)} or {keys.QUEUES} is in use for something else. Rename or delete that key."
        )
        self.queues = frozenset(queues)


def push(messages: Iterable[Message], *, at: datetime) -> int:
    """Put the runs in their queues, or in the scheduled sets. Returns how many were not there already.

    May be repeated. Raises `BrokerUnavailable`, and then some may be there: `QueuesRefused` when a queue's key is
    in use for something else, after all others have got their runs.
    """
    return push_parcels(together(messages), at=at)


def push_parcels(parcels: Iterable[Parcel], *, at: datetime) -> int:
    """As `push`, for runs that are packed already."""
    added = 0
    refused: set[str] = set()
    calls = _calls(parcels, pushed_at=utcformat(at))
    while some := list(islice(calls, _CALLS_AT_ONCE)):
        for answer in lua.run_all(some):
            added += answer[0]
            refused.update(queue.decode() for queue in answer[1:])
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


def withdraw(run_id: str, *, queue: str, life: int, aside_seconds: float | None = None) -> Withdrawn:
    """Take a run back before it starts: for good, or for so many seconds. Raises `BrokerUnavailable`."""
    aside = "" if aside_seconds is None else int(aside_seconds * 1000)
    answer: Withdrawn = lua.run("withdraw", [run_id, queue, life, aside]).decode()
    return answer


def forget_failed(runs: Sequence[tuple[str, str]]) -> None:
    """Remove dead runs, given by id and queue, from what RQ's tools show as failed. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    for run_id, queue in runs:
        pipeline.zrem(keys.failed(queue), run_id)
        pipeline.delete(keys.job(run_id))
    with errors_named():
        pipeline.execute()


def _calls(parcels: Iterable[Parcel], *, pushed_at: str) -> Iterator[tuple[str, list[Any]]]:
    """Script calls for the parcels, in their order and of a size that the server takes in its stride."""
    arguments: list[Any] = [pushed_at]
    runs = characters = 0
    for parcel in (part for whole in parcels for part in whole.split(_RUNS_AT_ONCE, _CHARACTERS_AT_ONCE)):
        length = parcel.characters
        if runs and (runs + parcel.size > _RUNS_AT_ONCE or characters + length > _CHARACTERS_AT_ONCE):
            yield "push", arguments
            arguments, runs, characters = [pushed_at], 0, 0
        due = "" if parcel.due_ms is None else parcel.due_ms
        arguments += [
            parcel.name,
            parcel.queue,
            parcel.life,
            due,
            len(parcel.shared),
            *parcel.shared,
            parcel.size,
            *parcel.runs,
        ]
        arguments += [len(parcel.limits), *parcel.limits]
        runs, characters = runs + parcel.size, characters + length
    if runs:
        yield "push", arguments
