"""How far a run is, as its page shows it. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from jobs import progress
from jobs.models import JobRun, JobStep, RunState
from jobs.policy.progress import Progress, pace
from jobs.policy.spans import in_words

# More would bury what matters; the page says when there is more.
SHOWN_STEPS = 50


@dataclass(frozen=True)
class HowFar:
    """What a run says of how far it is. `thousandths` is for the bar, None where the total is not known."""

    told: Progress
    is_running: bool

    @property
    def thousandths(self) -> int | None:
        return None if self.told.share is None else int(1000 * self.told.share)

    @property
    def rate(self) -> str:
        """Of what runs: `12/s`; empty where it is not known, or as good as none."""
        return pace(self.told.rate) if self.is_running else ""

    @property
    def left(self) -> str:
        """How long it takes at this rate: `2 min 30 s`; empty where that is not known."""
        seconds = self.told.seconds_left if self.rate else None
        return "" if seconds is None else in_words(round(seconds))

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.told.at, UTC)


def how_far(run: JobRun) -> HowFar | None:
    """None for a run that has said nothing."""
    told = progress.of(run)
    return None if told is None else HowFar(told, is_running=run.state == RunState.RUNNING)


def steps_of(run: JobRun) -> list[JobStep]:
    """Its latest steps, in their order; one more than are shown where there are more."""
    return list(run.steps.order_by("-done_at", "-pk")[: SHOWN_STEPS + 1])[::-1]
