"""What became of attempts, as tests look at it. Runs nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

from jobs import registry
from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.models import JobRun
from jobs.policy.outcome import Interrupted, Outcome, Postponed, Returned
from jobs.registry import Job

# A run that keeps no row tells the journal nothing of these endings.
_UNRECORDED = {"later": "put off", "front": "hand back"}
_FAILED = ("retry", "put off", "bury")


@dataclass(frozen=True)
class Attempt:
    """One try at a run.

    `call` is the call as text, secrets masked; `number` is 1 for the first try. `outcome` is how it ended
    ("returned", "raised", "timed out", "interrupted" …) and `verdict` what followed ("done", "retry", "bury",
    "discard", "put off"). `error` is what the job raised, and `wait_seconds` how long a retry waits.
    """

    id: uuid.UUID | str
    name: str
    call: str
    queue: str
    number: int
    outcome: str
    verdict: str
    error: BaseException | None
    result: Any
    wait_seconds: float

    @property
    def failed(self) -> bool:
        """Whether something went wrong. A job that discards itself, puts itself off or hands itself back has not
        failed."""
        return self.verdict in _FAILED and self.outcome not in (Interrupted.name, Postponed.name)

    def __repr__(self) -> str:
        why = f": {self.error!r}" if self.error is not None else ""
        return f"<{self.call} attempt {self.number}: {self.verdict}{why}>"


class Attempts(Sequence[Attempt]):
    """Attempts in the order in which they were made.

    drained = drain()
    assert drained.counts == {"done": 3, "retry": 1}
    assert isinstance(drained.of(charge_order)[0].error, GatewayUnavailable)
    """

    def __init__(self, attempts: Iterable[Attempt] = ()) -> None:
        self._attempts = list(attempts)

    @property
    def counts(self) -> dict[str, int]:
        """How many attempts had which verdict."""
        return dict(Counter(attempt.verdict for attempt in self._attempts))

    @property
    def failures(self) -> list[Attempt]:
        """Those in which something went wrong, whatever followed."""
        return [attempt for attempt in self._attempts if attempt.failed]

    def of(self, job: Job[..., Any] | str) -> list[Attempt]:
        """Those of one job, given as such or by name. Raises `UnknownJob`."""
        name = job.name if isinstance(job, Job) else registry.get(job).name
        return [attempt for attempt in self._attempts if attempt.name == name]

    def runs(self) -> list[JobRun]:
        """The rows of the runs as they are now, in the order of asking; a run that keeps no row is missing."""
        return list(JobRun.objects.filter(rq_id__in={str(attempt.id) for attempt in self._attempts}).order_by("pk"))

    @overload
    def __getitem__(self, index: int) -> Attempt: ...
    @overload
    def __getitem__(self, index: slice) -> list[Attempt]: ...
    def __getitem__(self, index: int | slice) -> Attempt | list[Attempt]:
        return self._attempts[index]

    def __len__(self) -> int:
        return len(self._attempts)

    def __repr__(self) -> str:
        return f"Attempts({self._attempts!r})"

    def add(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)


def attempt_of(settlement: Settlement, outcome: Outcome) -> Attempt:
    """What a test may know of an attempt that ended so."""
    claim = settlement.claim
    return Attempt(
        id=_id(claim),
        name=claim.name,
        call=claim.fields.get("description", claim.name),
        queue=claim.queue,
        number=claim.attempt,
        outcome=outcome.name,
        verdict=_verdict(settlement, outcome),
        error=getattr(outcome, "error", None),
        result=outcome.result if isinstance(outcome, Returned) else None,
        wait_seconds=settlement.wait_seconds,
    )


def _verdict(settlement: Settlement, outcome: Outcome) -> str:
    if settlement.entry is not None:
        return str(settlement.entry["verdict"])
    ended = "done" if isinstance(outcome, Returned) else "discard"
    return _UNRECORDED.get(settlement.where, ended)


def _id(claim: Claim) -> uuid.UUID | str:
    try:
        return uuid.UUID(claim.run_id)
    except ValueError:
        return claim.run_id
