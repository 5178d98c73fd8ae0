"""Workers are killed with their children while they work.

1. The fleet starts, and a client enqueues job by job.
2. At each planned time a worker gets SIGKILL, with its children, and is started again.
3. When all jobs have ended, or nothing moves any more, or time is up, the fleet stops.
4. The judge compares the ledger with what the queue knows.
"""

from __future__ import annotations

from bench.faults import plan
from bench.faults.sides import SIDES
from bench.faults.trial import Result, Settings, Trial, trial

WORKERS = 4
# A worker that has not begun to work is not worth a kill: it is tried again for so long.
_STRIKE_SECONDS = 5.0


def run(settings: Settings) -> Result:
    """Let it happen, in a folder and a Valkey of its own."""
    side = SIDES[settings.target]
    expected = plan.expected_seconds(settings.jobs, at_once=WORKERS * side.at_once, overhead_ms=side.overhead_ms)
    # Twice as long for a slow machine, and what the slowest recovery may take.
    with trial(settings, limit_seconds=2 * expected + 2 * side.quiet_seconds, workers=WORKERS, lease=15) as one:
        strikes = Strikes(one, plan.faults(settings.seed, count=settings.kills, workers=WORKERS, seconds=expected))
        one.fleet.keep_running()
        one.enqueue(settings.jobs)
        one.until_over(settings.jobs, act=strikes.fall)
        return one.result(planned=settings.kills, jobs=settings.jobs)


class Strikes:
    """Kills at planned times."""

    def __init__(self, trial: Trial, faults: list[plan.Fault]) -> None:
        self._trial = trial
        self._faults = faults

    def fall(self) -> bool:
        """Kill whom it is time to kill; whether all kills have fallen."""
        now = self._trial.seconds
        if self._faults and now >= self._faults[0].at:
            given_up = now >= self._faults[0].at + _STRIKE_SECONDS
            if self._trial.fleet.strike(self._faults[0].victim) or given_up:
                self._faults.pop(0)
        return not self._faults
