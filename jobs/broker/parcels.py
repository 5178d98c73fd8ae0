"""Runs as Redis gets them: one by one as messages, or packed with what they have in common. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from rq.utils import utcformat

from jobs.broker.foreign import Foreign, restored_fields
from jobs.policy.bounds import Bounds


class Parcel(NamedTuple):
    """Runs that differ in their ids, arguments and descriptions only. JSON can carry it.

    `due_ms` None is now. `shared` is the fields of the hash that they have in common, flat; `runs` is flat as well:
    an id, its data and its description, and so on. `limits` is empty, or has for each run what its lane is named by.
    """

    name: str
    queue: str
    life: int
    due_ms: int | None
    durable: bool
    shared: list[Any]
    runs: list[Any]
    limits: Sequence[str] = ()

    @property
    def run_ids(self) -> list[Any]:
        return self.runs[::3]

    @property
    def size(self) -> int:
        """How many runs."""
        return len(self.runs) // 3

    @property
    def characters(self) -> int:
        return sum(map(len, self.runs))

    def only(self, run_ids: Set[str]) -> Parcel:
        """Those of its runs that have these ids."""
        wanted = [at for at in range(0, len(self.runs), 3) if self.runs[at] in run_ids]
        limits = [self.limits[at // 3] for at in wanted] if self.limits else ()
        return self._replace(runs=[text for at in wanted for text in self.runs[at : at + 3]], limits=limits)

    def split(self, most: int, most_characters: int) -> Iterator[Parcel]:
        """Parcels of up to so many runs and, where a run is not longer itself, so many characters."""
        if self.size <= 1:
            yield self
            return
        start = characters = 0
        for at in range(0, len(self.runs), 3):
            length = len(self.runs[at + 1]) + len(self.runs[at + 2])
            if at > start and (at - start >= 3 * most or characters + length > most_characters):
                yield self._between(start, at)
                start, characters = at, 0
            characters += length
        yield self._between(start, len(self.runs))

    def _between(self, start: int, end: int) -> Parcel:
        return self._replace(runs=self.runs[start:end], limits=self.limits[start // 3 : end // 3])


def parcel(
    *,
    name: str,
    queue: str,
    created_at: datetime,
    timeout: float,
    durable: bool,
    runs: list[Any],
    life: int = 0,
    attempts: int | None = None,
    expires_at: datetime | None = None,
    begun: int = 0,
    due_at: datetime | None = None,
    parent: str = "",
    correlation: str = "",
    traceparent: str = "",
    limits: Sequence[str] = (),
    robbed: bool = False,
) -> Parcel:
    """A parcel; see `Message` for what the words mean."""
    shared: list[Any] = [
        *("created_at", utcformat(created_at), "origin", queue, "timeout", max(1, int(timeout))),
        *("life", life, "durable", int(durable), "attempts", begun),
    ]
    # Who reads takes what is missing for nothing, and each field costs every run.
    bounds = Bounds(expires_ms=_ms(expires_at) or 0).dump() if expires_at else ""
    told = {"own_attempts": attempts, "bounds": bounds, "parent": parent, "correlation": correlation}
    for field, value in (told | {"traceparent": traceparent, "robbed": int(robbed)}).items():
        if value:
            shared += [field, value]
    return Parcel(name, queue, life, _ms(due_at), durable, shared, runs, limits)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def data_of(name: str, payload: str) -> str:
    """What RQ calls a job's data, from a payload as JSON text."""
    return f"{data_start(name)}{payload[1:]}"


def data_start(name: str) -> str:
    """How the data of each run of a job begins, and those of no other job's."""
    return f"[{_quoted(name)}, null, "


@lru_cache(maxsize=1000)
def _quoted(name: str) -> str:
    return json.dumps(name)


@dataclass(frozen=True)
class Message:
    """One run as Redis gets it. `payload` is [positional, by name]; `due_at` None is now; `attempts` is what
    `using` set for this run alone, None for what the job's policy says; `begun` counts those made before.
    It is not started after `expires_at`.

    `description` is shown on RQ's pages and logs, so it carries masked arguments only. `foreign` is the message as
    plain RQ wrote it, in the place of the payload. `limits` names the run's lane, empty where nothing limits it.
    `robbed` says that an earlier attempt may still be under way.
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
    expires_at: datetime | None = None
    begun: int = 0
    due_at: datetime | None = None
    parent: str = ""
    correlation: str = ""
    traceparent: str = ""
    foreign: Foreign | None = None
    limits: str = ""
    robbed: bool = False

    def parcel(self) -> Parcel:
        """A parcel with this run alone."""
        if self.foreign is not None:
            return self._parcel_of(self.foreign)
        return parcel(
            name=self.name,
            queue=self.queue,
            life=self.life,
            created_at=self.created_at,
            timeout=self.timeout,
            durable=self.durable,
            attempts=self.attempts,
            expires_at=self.expires_at,
            begun=self.begun,
            due_at=self.due_at,
            parent=self.parent,
            correlation=self.correlation,
            traceparent=self.traceparent,
            runs=[self.run_id, data_of(self.name, json.dumps(self.payload)), self.description],
            limits=[self.limits] if self.limits else (),
            robbed=self.robbed,
        )

    def _parcel_of(self, foreign: Foreign) -> Parcel:
        fields: dict[str, Any] = dict(restored_fields(foreign.fields))
        data = fields.pop("data", "")
        fields |= {
            "created_at": utcformat(self.created_at),
            "origin": self.queue,
            "life": self.life,
            "attempts": self.begun,
            "foreign": foreign.row_id,
        }
        shared = [word for field in fields.items() for word in field]
        return Parcel(
            self.name,
            self.queue,
            self.life,
            _ms(self.due_at),
            self.durable,
            shared,
            [self.run_id, data, self.description],
        )

    def fields(self, pushed_at: str) -> dict[str, Any]:
        """The hash, in RQ's own words where it has one."""
        made = self.parcel()
        shared = dict(zip(made.shared[::2], made.shared[1::2], strict=True))
        return {
            "data": made.runs[1],
            "description": made.runs[2],
            "enqueued_at": pushed_at,
            **{str(field): value for field, value in shared.items()},
            **({"limits": self.limits} if self.limits else {}),
        }


def together(messages: Iterable[Message]) -> Iterator[Parcel]:
    """Parcels of messages that follow one another and differ in their runs only."""
    alone = (message.parcel() for message in messages)
    for first, equal in groupby(alone, key=lambda one: one._replace(runs=[], limits=one.limits and [""])):
        made = list(equal)
        yield first._replace(
            runs=[text for one in made for text in one.runs], limits=[text for one in made for text in one.limits]
        )
