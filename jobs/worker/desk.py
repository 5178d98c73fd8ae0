"""What an attempt writes on while it runs: how far it is, its checkpoint, and its steps. Made for each attempt, and
filled only by those that write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from jobs.broker.claim import Claim
from jobs.checkpoints import ForgetfulKeeper, Keeper, StoredKeeper
from jobs.context import NoDesk
from jobs.steps import ForgetfulSteps, Steps, StoredSteps
from jobs.worker import kept_lines
from jobs.worker.reporting import Reporter

T = TypeVar("T")


@dataclass(frozen=True)
class Drawers:
    """Where a desk puts what is to be kept."""

    keeper: Callable[[Claim], Keeper] = StoredKeeper
    steps: Callable[[Claim], Steps] = StoredSteps


STORED = Drawers()
# For runs that are in no Redis and have no row, as in tests.
FORGETFUL = Drawers(ForgetfulKeeper, ForgetfulSteps)


class Desk:
    """See the module."""

    __slots__ = ("_claim", "_drawers", "_reporter", "_steps")

    def __init__(self, claim: Claim, drawers: Drawers) -> None:
        self._claim = claim
        self._drawers = drawers
        self._reporter: Reporter | None = None
        self._steps: Steps | None = None

    @property
    def keeper(self) -> Keeper:
        """What keeps the checkpoint of a job that iterates, made anew each time."""
        return self._drawers.keeper(self._claim)

    def report(self, done: float, total: float | None, message: str, *, unit: str, anew: bool) -> None:
        """See `CurrentRun.progress`."""
        if self._reporter is None:
            self._reporter = Reporter(self._claim)
        self._reporter.report(done, total, message, unit=unit, anew=anew)

    def step(self, name: str, call: Callable[[], T], *, atomic: bool) -> T:
        """See `CurrentRun.step`."""
        if self._steps is None:
            self._steps = self._drawers.steps(self._claim)
        result: Any = self._steps.take(name, call, atomic=atomic)
        return result

    def note(self, record: logging.LogRecord) -> None:
        """Keep what was logged, for the case that the attempt fails."""
        kept_lines.note(self._claim, record)


class ForeignDesk(NoDesk):
    """Of a run that plain RQ enqueued: only what it logs is kept."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def note(self, record: logging.LogRecord) -> None:
        """As `Desk.note`."""
        kept_lines.note(self._claim, record)
