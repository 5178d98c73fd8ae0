"""One scenario under way: its place, its fleet, its clients, and how it ends. Breaks nothing itself."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import ledger
from bench.faults import plan
from bench.faults.fleet import Fleet, Hit
from bench.faults.judge import RECOVERY_LIMIT_SECONDS, Bookkeeping, Counters, judge, told_deaths
from bench.faults.sides import SIDES, Ours, Side
from bench.processes import none_left_behind
from jobs.broker.embedded import EmbeddedServer

STEP_SECONDS = 0.02
_LOOK_SECONDS = 0.25
_LOG_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """What is asked for. `limit_seconds` is for all of it; None leaves it to the scenario."""

    target: str
    seed: int
    jobs: int
    kills: int
    profile: str = "quick"
    limit_seconds: float | None = None

    @property
    def is_full(self) -> bool:
        return self.profile != "quick"

    @property
    def patience(self) -> float:
        """What limits of time are multiplied with: a quick run is one of several on a machine that others use too."""
        return 1.0 if self.is_full else 3.0


@dataclass(frozen=True)
class Result:
    """`broken` are promises that did not hold; `figures` go into the JSON; `lines` are told to people; `log` is the
    end of what the workers said."""

    counters: Counters
    broken: list[str]
    wall_s: float
    limit_s: float
    log: str
    figures: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """What a scenario works with. `side` is who is put to the test, and `fleet` its workers, not yet started."""

    settings: Settings
    folder: Path
    server: EmbeddedServer
    side: Side
    fleet: Fleet
    limit_seconds: float
    hits: list[Hit] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)

    @property
    def log(self) -> Path:
        return self.fleet.log

    @property
    def ours(self) -> Ours:
        """The side, where a scenario plays with ours alone."""
        assert isinstance(self.side, Ours)
        return self.side

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started_at

    @property
    def is_late(self) -> bool:
        return self.seconds > self.limit_seconds

    def enqueue(self, jobs: int, *, start: int = 0) -> int:
        """Let a client enqueue jobs of 5 to 50 ms, one by one, in a process of its own. Returns its pid."""
        return self.fleet.fork(lambda: self.side.enqueue_all(jobs, self.job_ms, start=start))

    def job_ms(self, key: int) -> int:
        """How long a job works."""
        return plan.job_ms(self.settings.seed, key)

    def until_over(self, jobs: int, *, act: Callable[[], bool] = lambda: True, fleet: bool = True) -> bool:
        """Call `act` again and again. Return True once it says that it is done and `jobs` have ended in any way;
        False when nothing moves any more, or time is up."""
        over, moved_at, looked_at = -1, time.monotonic(), 0.0
        while not self.is_late:
            done = act()
            if fleet:
                self.fleet.keep_running()
            now = time.monotonic()
            if not done:
                moved_at = now
            if now - looked_at >= _LOOK_SECONDS:
                looked_at = now
                count = self.side.count_over()
                if count != over:
                    over, moved_at = count, now
            if done and over >= jobs:
                return True
            if now - moved_at > self.side.quiet_seconds:
                return False
            time.sleep(STEP_SECONDS)
        return False

    def wait(self, holds: Callable[[], object], *, seconds: float = 60.0, fleet: bool = True) -> bool:
        """Whether it held within `seconds` and the limit. The fleet is kept running meanwhile."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline or self.is_late:
                return False
            if fleet:
                self.fleet.keep_running()
            time.sleep(STEP_SECONDS)
        return True

    def rest(self, seconds: float, *, fleet: bool = True) -> None:
        """Let time pass; the fleet is kept running."""
        self.wait(lambda: False, seconds=seconds, fleet=fleet)

    def told_ends(self) -> list[str]:
        """What supervisors said of processes that ended when they should not."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line[:200] for line in lines if "ended with status" in line or "stood still" in line]

    def records(self) -> list[ledger.Record]:
        return list(ledger.read(self.folder / "ledger"))

    def result(
        self,
        *,
        planned: int,
        jobs: int,
        may: tuple[str, ...] = (),
        broken: list[str] | None = None,
        stop_seconds: float = 30.0,
        figures: dict[str, Any] | None = None,
        lines: list[str] | None = None,
        books: Bookkeeping | None = None,
    ) -> Result:
        """Stop the fleet and judge. `may` names counters that this scenario leaves open; `broken` are promises of its
        own that did not hold."""
        wall = self.seconds
        self.fleet.stop(stop_seconds)
        records = self.records()
        hits = [*self.hits, *self.fleet.hits, *told_deaths(records)]
        counters = judge(records, books or self.side.books(), hits, planned=planned, jobs=jobs)
        recovery_limit = RECOVERY_LIMIT_SECONDS * self.settings.patience
        return Result(
            counters,
            counters.broken(may=may, recovery_limit=recovery_limit) + (broken or []),
            round(wall, 1),
            round(self.limit_seconds, 1),
            self.log.read_text()[-_LOG_CHARACTERS:] if self.log.exists() else "",
            figures or {},
            lines or [],
        )


@contextlib.contextmanager
def trial(
    settings: Settings,
    *,
    limit_seconds: float,
    workers: int = 4,
    keeps_data: bool = True,
    lease: float | None = None,
    server: Callable[[Path], EmbeddedServer] | None = None,
    database: Callable[[Path], Any] | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Trial]:
    """A folder, a Valkey, a database and a fleet for the length of the block; nothing of it is left behind.

    `lease` is in seconds: None is the default one in a full run, and a short one in a quick run.
    """
    os.environ["BENCH_LEASE"] = str(lease or (15 if settings.is_full else 5))
    os.environ |= environment or {}
    with (
        none_left_behind(),
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        (folder / "ledger").mkdir()
        os.environ[ledger.FOLDER] = str(folder / "ledger")
        valkey = server(folder) if server else EmbeddedServer(folder / "valkey" if keeps_data else None)
        stack.callback(valkey.stop)
        valkey.start()
        side = SIDES[settings.target](folder, valkey.url, database)
        if isinstance(side, Ours):
            stack.callback(side.database.remove)
        fleet = Fleet(side.work, workers, folder / "workers.log")
        limit = settings.limit_seconds or limit_seconds
        yield Trial(settings, folder, valkey, side, fleet, limit)
