"""Takes runs to work on, under a lease, and knows who holds what."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import ResponseError
from rq.utils import utcformat

from jobs import conf, registry
from jobs.broker import foreign_message, keys
from jobs.broker.connection import client, errors_named
from jobs.broker.lua import SERVER, Call
from jobs.errors import BrokerUnavailable
from jobs.policy.storable import LARGEST, LATEST_MS

logger = logging.getLogger(__name__)

# What is read of a run of ours; of a foreign one all is. What tells them apart comes first.
FIELDS = (
    "data",
    "description",
    "created_at",
    "enqueued_at",
    "ready_ms",
    "own_attempts",
    "durable",
    "crashes",
    "parent",
    "correlation",
    "traceparent",
    "checkpoint",
    "progress",
    "unknown_since_ms",
    "away_ms",
    "put_off",
    "robbed",
    "bounds",
)
_ANSWERED = ("life", "attempts", "foreign", "status", "limits", *FIELDS)
# Digits that an integer takes at once; longer ones go the long way round.
_SURELY_EXACT = 16


@dataclass(frozen=True)
class WorkerId:
    """Who claims: `name` as RQ's tools show it, `id` unique to one process's life."""

    name: str
    id: str


@dataclass(frozen=True)
class Claim:
    """One run held under a token. `claimed_ms` is the server's clock; `fields` is what the run's hash says of it.

    Of a run of ours these are `FIELDS` and what the claim writes: who reads another names it there.
    `raw` is the hash as it was read, where plain RQ enqueued the run: its data are no text. See `broker.foreign`.
    `fuse` is the number of the fuse that discards the run, 0 where it is to be run.
    """

    run_id: str
    queue: str
    token: str
    fields: dict[str, str]
    raw: dict[bytes, bytes] | None = None
    fuse: int = 0

    @property
    def name(self) -> str:
        """The job's name, empty where the payload cannot be read."""
        # By hand: in Python 3.11 a `cached_property` takes a lock that all threads share.
        known = self.__dict__
        if "_name" not in known:
            message = known["_unused"] = self._message() if self.raw is None else None
            known["_name"] = message[0] if message else foreign_message.name_of(self.raw or {})
        return str(known["_name"])

    @property
    def payload(self) -> tuple[list[Any], dict[str, Any]]:
        """The positional arguments and those by name, anew each time, for the job may change what it gets.

        Raises `ValueError` where they cannot be read.
        """
        # What was read for the name is good for the first who asks.
        message = self.__dict__.pop("_unused", None) or (self._message() if self.raw is None else None)
        if message is None:
            raise ValueError("the payload is not Jobsite's JSON")
        return message[1], message[2]

    @property
    def is_foreign(self) -> bool:
        """Whether plain RQ code enqueued the run."""
        return self.raw is not None

    @property
    def is_ours(self) -> bool:
        """Whether Jobsite put the run there; plain RQ's hashes know no lives."""
        return "life" in self.fields and self.raw is None

    @property
    def is_limited(self) -> bool:
        """Whether it has a slot, or a place in a window."""
        return bool(self.fields.get("limits"))

    @property
    def attempt(self) -> int:
        return self.number("attempts")

    @property
    def life(self) -> int:
        return self.number("life")

    @property
    def durable(self) -> bool:
        # One of ours has a row unless it says that it has none; one of plain RQ's gets it at its first word.
        if self.raw is not None:
            return True
        return self.fields.get("durable", "1" if self.is_ours else "") not in ("0", "")

    @property
    def claimed_ms(self) -> int:
        return self.number("claimed_ms")

    @property
    def wait_ms(self) -> int:
        """Milliseconds from when the run was ready to when it was claimed, both on the server's clock."""
        return max(0, self.claimed_ms - (self.number("ready_ms") or self.claimed_ms))

    def number(self, field: str) -> int:
        """A whole number from the hash, no larger than can be stored; 0 where it is missing or damaged."""
        text = self.fields.get(field)
        if not text:
            return 0
        most = LATEST_MS if field.endswith("_ms") else LARGEST
        if text.isdecimal() and len(text) < _SURELY_EXACT:
            return min(int(text), most)
        try:
            return int(max(0.0, min(float(text), most)))
        except ValueError:
            return 0

    def _message(self) -> tuple[str, list[Any], dict[str, Any]] | None:
        try:
            name, _, args, kwargs = json.loads(self.fields["data"])
        except (KeyError, ValueError, TypeError, RecursionError):
            return None
        sound = isinstance(name, str) and isinstance(args, list) and isinstance(kwargs, dict)
        return (name, args, kwargs) if sound else None


class Claimed(list[Claim]):
    """What a claim took, and which of the queues that it asked for are paused."""

    paused: frozenset[str] = frozenset()


class ClaimsPaused(BrokerUnavailable):
    """Nothing was claimed, and all else of that round trip was done: `accepted` is what became of the settlements.

    `why` is "epoch", "journal" or "refused".
    """

    def __init__(self, why: str, message: str = "") -> None:
        super().__init__(message or _PAUSED[why])
        self.why = why
        self.accepted: list[bool] = []


_PAUSED = {
    "epoch": (
        "Redis or Valkey is new, or is not as it was: it started anew, was emptied, restored or replaced. Nothing is "
        "claimed until the recording process of a worker has compared it with the rows. Its log says how far it is; "
        "if it says nothing, look whether the database answers."
    ),
    "journal": (
        'The journal has reached JOBS["JOURNAL_LIMIT"], so nothing is claimed until what happened is recorded. '
        "Look whether the database answers."
    ),
}


def claim_call(worker: WorkerId, tokens: Sequence[str], queues: Iterable[str], *, limited: bool = True) -> Call:
    """The script call that takes up to as many runs as there are tokens, queue by queue in order.

    With `limited` False it takes them whatever limits their jobs have.
    """
    choices = conf.get()
    lease = int(choices.LEASE * 1000)
    who = (worker.id, worker.name, lease, utcformat(datetime.now(UTC)))
    counts = (len(tokens), len(FIELDS))
    numbers = registry.limit_numbers() if limited else ""
    return "claim", [SERVER, choices.JOURNAL_LIMIT, numbers, *who, *counts, *tokens, *FIELDS, *queues]


def read_claims(answer: Any) -> Claimed:
    """What the claim script answered, as claims. Raises `ClaimsPaused`."""
    if isinstance(answer, BrokerUnavailable):
        raise ClaimsPaused("refused", str(answer)) from answer
    if isinstance(answer, Exception):
        raise answer
    if answer[1:] and isinstance(answer[1], bytes):
        raise ClaimsPaused(answer[1].decode())
    now, *paused = answer[0] if isinstance(answer[0], list) else answer[:1]
    written = {"claimed_ms": str(now), "status": "started"}
    claimed = Claimed(
        _read(run_id, queue, token, values, foreign, written | {"attempts": str(attempts)}, *fuse)
        for queue, run_id, token, attempts, values, foreign, *fuse in answer[1:]
    )
    if paused:
        claimed.paused = frozenset(_text(queue) for queue in paused)
    return claimed


def _read(
    run_id: bytes,
    queue: bytes,
    token: bytes,
    values: list[bytes | None] | None,
    foreign: list[bytes] | None,
    written: dict[str, str],
    fuse: bytes | None = None,
) -> Claim:
    place = _text(run_id), queue.decode(), token.decode()
    if values is not None:
        return Claim(*place, _fields(values) | written, fuse=int(fuse or 0))
    return _claim(*place, _pairs(foreign or []) | written, foreign or [])


def held_by(worker_id: str) -> list[Claim]:
    """Everything the worker holds; what is damaged is dropped and logged. Raises `BrokerUnavailable`."""
    with errors_named():
        places = _places(worker_id)
        pipeline = client().pipeline(transaction=False)
        for _, _, run_id in places:
            pipeline.hgetall(keys.job(run_id))
        hashes = pipeline.execute(raise_on_error=False) if places else []
    return [
        _claim(run_id, queue, token, _decoded(fields), _flat(fields))
        for (token, queue, run_id), fields in zip(places, hashes, strict=True)
    ]


def held_count(worker_id: str) -> int:
    """How many runs the worker holds. Raises `BrokerUnavailable`."""
    with errors_named():
        return int(client().hlen(keys.held(worker_id)))


def end_lease(worker_id: str) -> None:
    """Say that a worker is gone, so that what it held may be taken back at once. Raises `BrokerUnavailable`."""
    with errors_named():
        client().zadd(keys.LEASES, {worker_id: 0}, xx=True)


def forget_worker(worker_id: str) -> None:
    """Remove the lease of a worker that holds nothing any more. Raises `BrokerUnavailable`."""
    with errors_named():
        # A key of another type holds nothing.
        if client().type(keys.held(worker_id)) != b"hash":
            client().zrem(keys.LEASES, worker_id)


def _places(worker_id: str) -> list[tuple[str, str, str]]:
    """Token, queue and run of everything the worker holds."""
    key = keys.held(worker_id)
    if client().type(key) not in (b"hash", b"none"):
        logger.error("%s is in use for something else; what %s held is not known", key, worker_id)
        return []
    places = []
    for token, place in client().hgetall(key).items():
        # What limits it stands on a line of its own.
        queue, tab, run_id = _text(place).partition("\n")[0].partition("\t")
        if tab and _text(token).encode() == token:
            places.append((_text(token), queue, run_id))
        else:
            client().hdel(key, token)
            logger.error("%s held something that cannot be read; it is dropped: %.200r", worker_id, place)
    return places


def _claim(run_id: str, queue: str, token: str, fields: dict[str, str], flat: list[bytes]) -> Claim:
    if "life" in fields and "foreign" not in fields:
        return Claim(run_id, queue, token, fields)
    raw = dict(zip(flat[::2], flat[1::2], strict=True)) if "data" in fields else None
    if raw is not None and "ready_ms" not in fields:
        fields["ready_ms"] = foreign_message.enqueued_ms(fields)
    return Claim(run_id, queue, token, fields, raw)


def _flat(fields: dict[bytes, bytes] | Exception) -> list[bytes]:
    return [] if isinstance(fields, Exception) else [word for pair in fields.items() for word in pair]


def _decoded(fields: dict[bytes, bytes] | Exception) -> dict[str, str]:
    """A run's hash as text, empty where its key is in use for something else."""
    if isinstance(fields, ResponseError):
        return {}
    if isinstance(fields, Exception):
        raise fields
    return {_text(key): _text(value) for key, value in fields.items()}


def _fields(values: list[bytes | None]) -> dict[str, str]:
    """What a run of ours says; a field that its hash does not have is missing."""
    return {
        name: value.decode(errors="replace") for name, value in zip(_ANSWERED, values, strict=True) if value is not None
    }


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {_text(flat[index]): _text(flat[index + 1]) for index in range(0, len(flat), 2)}


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
