"""The copy of the fuses that claims read, and what waits in their lanes. Knows no rows; `jobs.fuses` does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.broker import keys
from jobs.broker.connection import client, errors_named
from jobs.broker.parcels import data_start
from jobs.policy.fusing import Condition

logger = logging.getLogger(__name__)


_DIGITS_MOST = 18
# A fuse that has ended: what waits in its lanes is taken first; or discarded still, for that was to come of it.
OVER = '{"over":true}'
OVER_DISCARDING = '{"over":true,"discard":true}'


def entry(name: str, conditions: Sequence[Condition], *, action: str, per_second: float, expires_ms: int) -> str:
    """A fuse as the claim script reads it: it decides by these words alone."""
    facts: dict[str, Any] = {"start": data_start(name), "action": action, "until": expires_ms}
    if conditions:
        facts["where"] = [_condition(one) for one in conditions]
    if per_second:
        facts["every"] = 1000 / per_second
    return json.dumps(facts, separators=(",", ":"))


def _condition(one: Condition) -> dict[str, Any]:
    # Lua counts from 1.
    at = 0 if one.position is None else one.position + 1
    return {"at": at, "name": one.parameter, "value": one.value, "default": one.fits_default}


def publish(entries: Mapping[int, str]) -> None:
    """Write these fuses, by their ids. Raises `BrokerUnavailable`."""
    if not entries:
        return
    with errors_named():
        client().hset(keys.FUSES, mapping={str(fuse): text for fuse, text in entries.items()})


def published() -> dict[int, str]:
    """The fuses that claims read. Raises `BrokerUnavailable`."""
    with errors_named():
        if client().type(keys.FUSES) not in (b"hash", b"none"):
            logger.error("%s is in use for something else, so no fuse works; rename or delete that key", keys.FUSES)
            return {}
        found = client().hgetall(keys.FUSES)
    return {int(field): text.decode(errors="replace") for field, text in found.items() if _is_number(field)}


def _is_number(field: bytes) -> bool:
    """As the script has it: not when the next run may start, and nothing longer than any row's number."""
    return field.isdigit() and len(field) <= _DIGITS_MOST


def forget(fuses: Iterable[int]) -> None:
    """Remove fuses whose lanes are empty. Raises `BrokerUnavailable`."""
    fields = [field for fuse in fuses for field in (str(fuse), f"{fuse}:next")]
    if fields:
        with errors_named():
            client().hdel(keys.FUSES, *fields)


def caught(fuses: Sequence[int], queues: Sequence[str]) -> dict[int, dict[str, int]]:
    """How many runs each fuse keeps from starting, by queue; in one round trip. Raises `BrokerUnavailable`."""
    lanes = [(fuse, queue, place) for fuse in fuses for queue in queues for place in (queue, keys.suspects(queue))]
    pipeline = client().pipeline(transaction=False)
    for fuse, _, place in lanes:
        pipeline.llen(keys.lane(keys.fuse_lane(fuse, place)))
    with errors_named():
        lengths = pipeline.execute(raise_on_error=False) if lanes else []
    counts: dict[int, dict[str, int]] = {fuse: {} for fuse in fuses}
    for (fuse, queue, _), length in zip(lanes, lengths, strict=True):
        if isinstance(length, int) and length:
            counts[fuse][queue] = counts[fuse].get(queue, 0) + length
    return counts


def fuses_of(run_ids: Sequence[str]) -> dict[str, int]:
    """Which fuse keeps each of these runs from starting, in one round trip. Raises `BrokerUnavailable`."""
    pipeline = client().pipeline(transaction=False)
    for run_id in run_ids:
        pipeline.hmget(keys.job(run_id), "lane", "status")
    with errors_named():
        answers = pipeline.execute(raise_on_error=False) if run_ids else []
    lanes = {run_id: answer[0] for run_id, answer in zip(run_ids, answers, strict=True) if _is_in_lane(answer)}
    return {run_id: fuse for run_id, lane in lanes.items() if (fuse := keys.fuse_in(lane)) is not None}


def _is_in_lane(answer: list[bytes | None] | Exception) -> bool:
    return not isinstance(answer, Exception) and answer[0] is not None and answer[1] == b"queued"
