"""Workers are killed with their children while they work.

1. The fleet starts, and a client enqueues job by job.
2. At each planned time a worker gets SIGKILL, with its children, and is started again.
3. When all jobs have ended, or nothing moves any more, or time is up, the fleet stops.
4. The judge compares the ledger with what the queue knows.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import ledger
from bench.faults import plan
from bench.faults.fleet import Fleet, fork
from bench.faults.judge import Counters, judge
from bench.faults.sides import SIDES, Side
from bench.processes import none_left_behind
from jobs.broker.embedded import embedded_server

WORKERS = 4
_STEP_SECONDS = 0.02
_LOOK_SECONDS = 0.25
# A worker that has not begun to work is not worth a kill: it is tried again for so long.
_STRIKE_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """What is asked for. `limit_seconds` is for all of it; None leaves it to the number of jobs."""

    target: str
    seed: int
    jobs: int
    kills: int
    limit_seconds: float | None = None


@dataclass(frozen=True)
class Result:
    """`log` is the end of what the workers said."""

    counters: Counters
    wall_s: float
    limit_s: float
    log: str


def run(settings: Settings) -> Result:
    """Let it happen, in a folder and a Valkey of its own."""
    with (
        none_left_behind(),
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        embedded_server(Path(name) / "valkey") as server,
    ):
        folder = Path(name)
        (folder / "ledger").mkdir()
        os.environ[ledger.FOLDER] = str(folder / "ledger")
        side = SIDES[settings.target](folder, server.url)
        return _Run(settings, side, folder).run()


class _Run:
    """See the module."""

    def __init__(self, settings: Settings, side: Side, folder: Path) -> None:
        self._settings = settings
        self._side = side
        self._folder = folder
        self._log = folder / "workers.log"
        self._fleet = Fleet(side.work, WORKERS, self._log)
        expected = plan.expected_seconds(settings.jobs, at_once=WORKERS * side.at_once, overhead_ms=side.overhead_ms)
        self._faults = plan.faults(settings.seed, count=settings.kills, workers=WORKERS, seconds=expected)
        # Twice as long for a slow machine, and what the slowest recovery may take.
        self._limit = settings.limit_seconds or 2 * expected + 2 * side.quiet_seconds
        self._over = -1
        self._moved_at = 0.0
        self._looked_at = 0.0

    def run(self) -> Result:
        started = time.monotonic()
        self._fleet.keep_running()
        fork(lambda: self._side.enqueue_all(self._settings.jobs, self._job_ms), self._log)
        self._strike_and_wait(started)
        wall = time.monotonic() - started
        self._fleet.stop()
        records = ledger.read(self._folder / "ledger")
        asked = {"planned": self._settings.kills, "jobs": self._settings.jobs}
        counters = judge(records, self._side.books(), self._fleet.hits, **asked)
        return Result(counters, round(wall, 1), round(self._limit, 1), self._log.read_text()[-4000:])

    def _strike_and_wait(self, started: float) -> None:
        faults = list(self._faults)
        self._moved_at = started
        while time.monotonic() - started < self._limit:
            now = time.monotonic() - started
            if faults and now >= faults[0].at:
                given_up = now >= faults[0].at + _STRIKE_SECONDS
                if self._fleet.strike(faults[0].victim) or given_up:
                    faults.pop(0)
            self._fleet.keep_running()
            if not faults and self._is_still():
                return
            time.sleep(_STEP_SECONDS)

    def _is_still(self) -> bool:
        """Whether all has ended, or nothing has moved for long."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            over = self._side.count_over()
            if over != self._over:
                self._over, self._moved_at = over, now
        return self._over >= self._settings.jobs or now - self._moved_at > self._side.quiet_seconds

    def _job_ms(self, key: int) -> int:
        return plan.job_ms(self._settings.seed, key)
