"""Valkey dies and comes back while workers wait, take and work.

1. The fleet starts. The first half of the outages has `appendfsync always`, the second `everysec`, and then what was
   written in the last moments before is cut off the file, as when the machine loses its power.
2. The server gets SIGKILL while nothing is to do, while jobs are taken, or while they run. It is down for a while;
   a client goes on enqueueing. It comes back.
3. The judge counts what was lost, which processes of the workers ended, and how long after the return a job began.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from bench.faults.fleet import Hit
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record
from bench.processes import family

WORKERS = 4
_MOMENTS = ("idle", "taking", "working")
_DOWN_SECONDS = {"quick": (1.0, 2.0, 5.0), "full": (1.0, 5.0, 30.0)}
_LONG_MS = 1_500
# What `everysec` may lose.
_LOST_SECONDS = 1.0
_CALM_SECONDS = 60.0


@dataclass(frozen=True)
class Outage:
    """The server is gone for so long; `cut` loses what was written in the moments before."""

    moment: str
    seconds: float
    cut: bool


def drawn(settings: Settings) -> list[Outage]:
    """Each moment in turn; how long, and with what loss, by number."""
    downs = _DOWN_SECONDS.get(settings.profile, _DOWN_SECONDS["full"])
    lengths = random.Random(f"outages/{settings.seed}").sample(downs, k=len(downs))
    return [
        Outage(_MOMENTS[n % 3], lengths[(n + n // 3) % len(lengths)], cut=n >= settings.kills // 2)
        for n in range(settings.kills)
    ]


def run(settings: Settings) -> Result:
    """Let it happen; `jobs` are shared out among the outages."""
    outages = drawn(settings)
    limit = sum(one.seconds + _CALM_SECONDS for one in outages) + settings.jobs / 5
    with trial(settings, workers=WORKERS, limit_seconds=limit) as one:
        weather = Weather(one, batch=max(20, settings.jobs // len(outages)))
        one.fleet.keep_running()
        one.wait(lambda: all(one.fleet.ready(number) for number in range(WORKERS)), seconds=20)
        for outage in outages:
            weather.go_through(outage)
        one.until_over(weather.asked)
        resumed = resumptions(one.records(), weather.returns)
        worst = max(resumed, default=0.0)
        broken = [f"{weather.deaths} processes of workers ended"] if weather.deaths else []
        return one.result(
            planned=len(outages),
            jobs=weather.asked,
            broken=broken,
            figures={"worker_deaths": weather.deaths, "resumed_max_s": round(worst, 2)},
            lines=[
                f"worker processes that ended: {weather.deaths}; longest time to resume {worst:.2f} s",
                *one.told_ends(),
            ],
        )


class Weather:
    """Brings outages about. `returns` are the times at which the server was back."""

    def __init__(self, trial: Trial, *, batch: int) -> None:
        self.asked = 0
        self.deaths = 0
        self.returns: list[float] = []
        self._trial = trial
        self._batch = batch

    def go_through(self, outage: Outage) -> None:
        """Come to the moment, take the server away, bring it back, and wait until a job begins."""
        trial, server = self._trial, self._trial.server
        Redis.from_url(server.url).config_set("appendfsync", "everysec" if outage.cut else "always")
        self._come_to(outage.moment)
        before = written(trial.folder / "valkey")
        # What is cut off is what was written meanwhile.
        trial.rest(_LOST_SECONDS * 0.8 if outage.cut else 0.0)
        alive = self._members()
        server.kill()
        trial.hits.append(Hit(time.monotonic(), ()))
        if outage.cut:
            cut_back(before)
        # Who asks now gets an answer: the row is there, and the push follows.
        self._enqueue(5)
        trial.rest(outage.seconds)
        server.start()
        back = time.monotonic()
        self.returns.append(back)
        self._enqueue(5)
        trial.wait(lambda: first_start(trial.records(), back) is not None, seconds=_CALM_SECONDS)
        self.deaths += len(alive - self._members())

    def _come_to(self, moment: str) -> None:
        if moment == "idle":
            self._trial.until_over(self.asked)
            return
        if moment == "taking":
            self._enqueue(self._batch)
            self._trial.rest(0.3)
            return
        start = self.asked
        self._enqueue(2 * WORKERS, ms=_LONG_MS)
        self._trial.wait(lambda: any(r.kind == "start" and r.key >= start for r in self._trial.records()), seconds=30)

    def _enqueue(self, jobs: int, *, ms: int | None = None) -> None:
        trial, start = self._trial, self.asked
        trial.fleet.fork(lambda: trial.side.enqueue_all(jobs, (lambda key: ms) if ms else trial.job_ms, start=start))
        self.asked += jobs

    def _members(self) -> set[int]:
        """The workers and their long-lived children: those of stock RQ come and go with each job."""
        pids = self._trial.fleet.pids
        return set(pids) if self._trial.settings.target == "stock" else {pid for one in pids for pid in family(one)}


def written(folder: Path) -> dict[Path, int]:
    """The append-only files and their sizes."""
    return {path: path.stat().st_size for path in folder.rglob("*.aof")}


def cut_back(sizes: dict[Path, int]) -> None:
    """Take off what came behind these sizes."""
    for path, size in sizes.items():
        if path.exists() and path.stat().st_size > size:
            with path.open("r+b") as file:
                file.truncate(size)


def first_start(records: Sequence[Record], after: float) -> float | None:
    """Seconds from a moment to the first start of a job behind it."""
    return next((one.at - after for one in records if one.kind == "start" and one.at > after), None)


def resumptions(records: Sequence[Record], returns: Sequence[float]) -> list[float]:
    """Seconds from each return to the first start behind it; of those that had one."""
    found = [first_start(records, back) for back in returns]
    return [seconds for seconds in found if seconds is not None]
