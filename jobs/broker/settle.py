"""Ends attempts: one script call for as many as have ended, and the next claim in the same round trip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Literal, NamedTuple

from rq.utils import utcformat

from jobs.broker import foreign_ending, lua
from jobs.broker.claim import Claim, Claimed, ClaimsPaused, WorkerId, claim_call, read_claims
from jobs.broker.foreign_ending import ForeignEnding
from jobs.broker.lua import Call

# Made once: `json.dumps` with separators makes an encoder at each call.
_encode = json.JSONEncoder(separators=(",", ":")).encode

# Ended and remembered by the journal; dead; due again after a wait; front of its queue; the same, as if it had not been
# claimed; ended and not remembered.
Where = Literal["end", "failed", "later", "front", "unbegun", "gone"]


class Unrecorded(NamedTuple):
    """How an attempt ended of which only the figures hear."""

    verdict: str
    outcome: str
    error_class: str
    run_ms: int


@dataclass(frozen=True)
class Settlement:
    """What becomes of a claim. `entry` goes to the journal; `fields` are written to the run's hash.

    `queue` is where a run that is not over waits next, None for the queue it came from. `foreign` is what RQ's own
    readers get of a run that plain RQ enqueued. `unrecorded` says how one ended of which
    the journal does not hear.
    """

    claim: Claim
    where: Where
    wait_seconds: float = 0.0
    entry: dict[str, Any] | None = None
    fields: dict[str, str | int | bytes] = field(default_factory=dict)
    queue: str | None = None
    foreign: ForeignEnding | None = None
    unrecorded: Unrecorded | None = None


def settle(worker: WorkerId, settlements: Sequence[Settlement], *, only_ended: bool = False) -> list[bool]:
    """Settle attempts that `worker` holds; False for those it holds no longer.

    `only_ended` refuses all while the worker's lease lasts. Raises `BrokerUnavailable`, and then some may
    be settled: settling again is harmless.
    """
    if not settlements:
        return []
    ours, foreign = _apart(settlements)
    calls = [_settle_call(worker, ours, only_ended=only_ended)] if ours else []
    calls += foreign_ending.calls(worker, foreign, only_ended=only_ended)
    return _accepted(settlements, lua.run_all(calls))


def settle_and_claim(
    worker: WorkerId,
    settlements: Sequence[Settlement],
    tokens: Sequence[str],
    queues: Iterable[str],
    *,
    limited: bool = True,
) -> tuple[list[bool], Claimed]:
    """Settle what has ended and claim up to as many runs as there are tokens, in one round trip.

    With `limited` False they are claimed whatever limits their jobs have.

    Raises `ClaimsPaused` when all was done but the claim, and any other `BrokerUnavailable` when nobody knows: then
    runs may be held under these tokens, see `claim.held_by`.
    """
    ours, foreign = _apart(settlements)
    calls = [_settle_call(worker, ours)] if ours else []
    calls += foreign_ending.calls(worker, foreign, only_ended=False)
    *settled, claimed = lua.answers_of([*calls, claim_call(worker, tokens, queues, limited=limited)])
    for answer in settled:
        if isinstance(answer, Exception):
            raise answer
    accepted = _accepted(settlements, settled)
    try:
        return accepted, read_claims(claimed)
    except ClaimsPaused as pause:
        pause.accepted = accepted
        raise


def _settle_call(worker: WorkerId, settlements: Sequence[Settlement], *, only_ended: bool = False) -> Call:
    arguments: list[Any] = [worker.id, worker.name, int(only_ended), utcformat(datetime.now(UTC))]
    for ending, alike in groupby(settlements, key=_ending):
        group = list(alike)
        arguments += [*ending, len(group)]
        for item in group:
            entry = "" if item.entry is None else _encode(item.entry)
            arguments += [item.claim.run_id, item.claim.token, entry]
    return "settle", arguments


def _ending(item: Settlement) -> tuple[Any, ...]:
    """What the script is told once for all that end alike."""
    wait = int(item.wait_seconds * 1000)
    fields = [word for pair in item.fields.items() for word in pair]
    return item.claim.queue, item.where, item.queue or item.claim.queue, wait, len(fields), *fields


def _apart(settlements: Sequence[Settlement]) -> tuple[list[Settlement], list[Settlement]]:
    """Ours, and those of plain RQ: each kind has its script."""
    foreign = [item for item in settlements if item.foreign is not None]
    ours = [item for item in settlements if item.foreign is None] if foreign else list(settlements)
    return ours, foreign


def _accepted(settlements: Sequence[Settlement], answers: Sequence[Any]) -> list[bool]:
    """Which were accepted, in the order of the settlements. The first answer is for ours, if there are any."""
    if not settlements:
        return []
    ours, foreign = _apart(settlements)
    if not foreign:
        return [bool(one) for one in answers[0]]
    by_kind = {True: iter(answers[1 if ours else 0]), False: iter(answers[0])}
    return [bool(next(by_kind[item.foreign is not None])) for item in settlements]
