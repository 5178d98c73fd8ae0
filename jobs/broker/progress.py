"""How far runs are, in their hashes: told by who runs them, read by who looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobs.broker import keys, lua
from jobs.broker.claim import Claim
from jobs.broker.connection import client, errors_named
from jobs.policy import progress
from jobs.policy.progress import Progress


def tell(told: Sequence[tuple[Claim, str]]) -> None:
    """Write what these runs say, each as long as this claim holds it, in one round trip. Raises `BrokerUnavailable`."""
    lua.run_all([("keep", [claim.run_id, claim.claimed_ms, "progress", text]) for claim, text in told])


def of(run_ids: Iterable[str]) -> dict[str, Progress]:
    """What the hashes of these runs say, where they say anything. Raises `BrokerUnavailable`."""
    asked = list(run_ids)
    pipeline = client().pipeline(transaction=False)
    for run_id in asked:
        pipeline.hget(keys.job(run_id), "progress")
    with errors_named():
        answers = pipeline.execute(raise_on_error=False) if asked else []
    texts = {run: text.decode(errors="replace") for run, text in zip(asked, answers, strict=True) if _is_text(text)}
    found = {run_id: progress.read(text) for run_id, text in texts.items()}
    return {run_id: one for run_id, one in found.items() if one is not None}


def _is_text(answer: object) -> bool:
    # A key of another type answers with an error.
    return isinstance(answer, bytes)
