"""Orders to stop one run. Whoever holds it looks for them; nothing here touches the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from jobs.broker import keys
from jobs.broker.claim import Claim
from jobs.broker.connection import client, errors_named
from jobs.broker.foreign import row_id

# A run that fails as it is ordered to stop may wait for its retry; the order is to be there then.
_LIFE_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class StopOrder:
    """Who wants one life of a run to end, and why."""

    life: int
    actor: str
    reason: str


def order(run_id: str, stop: StopOrder) -> None:
    """Have the run stopped wherever it runs, now or later in this life; `run_id` is its row's.

    Raises `BrokerUnavailable`.
    """
    with errors_named():
        client().set(keys.stop(run_id), json.dumps(asdict(stop)), ex=_LIFE_SECONDS)


def orders(claims: Sequence[Claim]) -> dict[str, StopOrder]:
    """The orders that concern these claims, by token, in one round trip. Raises `BrokerUnavailable`."""
    if not claims:
        return {}
    with errors_named():
        # An id of plain RQ's may come again; an order is for one run.
        ids = [row_id(claim) if claim.is_foreign else claim.run_id for claim in claims]
        answers = client().mget([keys.stop(run_id) for run_id in ids])
    found = {claim.token: _read(answer) for claim, answer in zip(claims, answers, strict=True) if answer is not None}
    lives = {claim.token: claim.life for claim in claims}
    return {token: stop for token, stop in found.items() if stop is not None and stop.life == lives[token]}


def _read(answer: bytes) -> StopOrder | None:
    """The order, None where it is damaged."""
    try:
        data = json.loads(answer)
        return StopOrder(int(data["life"]), str(data["actor"]), str(data["reason"]))
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
