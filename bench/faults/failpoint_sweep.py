"""Processes die at each named place of our code, so many times at each.

1. The fleet starts, with every place armed and none of them hot.
2. A place turns hot. A client enqueues jobs until as many processes as planned have died there: in turn the process
   alone, and its worker with all its processes.
3. In a full run all jobs end before the next place turns hot; in a quick one the next follows at once.
4. The judge counts by place.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from bench.faults import dying_stock
from bench.faults.hot_place import Deaths, HotPlace
from bench.faults.judge import NO_KEY, Bookkeeping, judge, told_deaths
from bench.faults.sides import Ours, Stock
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record
from bench.telling import as_table
from jobs import failpoints

WORKERS = 4
CALLER = ("before_push", "after_push")
RELAY = ("before_relay_push", "after_relay_push")
RECORDER = ("before_commit", "after_commit", "after_forget")
# No job here comes by: what a death brings about at the first is the job's own choice, and the others are schedules'.
# `tests/scenarios` has them all.
_CHOSEN = ("after_effect", "after_tick", "before_tick_commit")
# Keys of one place's jobs begin with its number.
_KEYS = 100_000
_POINT_SECONDS = 30.0
_SECONDS_PER_KILL = 6.0


def run(settings: Settings) -> Result:
    """Let it happen; `kills` are at each place, and `jobs` are enqueued at a time."""
    ours = [point for point in failpoints.POINTS if point not in _CHOSEN]
    points = ours if settings.target == "ours" else list(dying_stock.POINTS)
    limit = len(points) * (_POINT_SECONDS + settings.kills * _SECONDS_PER_KILL)
    with trial(settings, workers=WORKERS, limit_seconds=limit) as one:
        sweep = Sweep(one, points)
        for number, point in enumerate(points):
            sweep.let_die_at(number, point)
        sweep.hot.cool()
        over = one.until_over(sweep.asked)
        one.fleet.stop()
        records, books = one.records(), one.side.books()
        rows = [sweep.row(number, point, records, books) for number, point in enumerate(points)]
        short = [f"only {row['hits']} of {settings.kills} died at {row['point']}" for row in rows if row["short"]]
        return one.result(
            planned=settings.kills * len(points),
            jobs=sweep.asked,
            broken=short + ([] if over else ["not all runs came to their end"]),
            figures={"points": rows},
            lines=as_table(
                rows, ("point", "hits", "jobs", "lost", "failed", "stuck", "dup_runs", "dup_effects")
            ).splitlines(),
            books=books,
        )


class Sweep:
    """Turns one place hot after the other. `asked` counts what clients have begun to enqueue."""

    def __init__(self, trial: Trial, points: Sequence[str]) -> None:
        self.asked = 0
        self.hot = HotPlace(trial.folder / "hot", seed=trial.settings.seed)
        self._trial = trial
        # Places of ours; stock RQ has one of the same name.
        is_ours = isinstance(trial.side, Ours)
        self._relay = RELAY if is_ours else ()
        self._of_recording = RELAY + RECORDER if is_ours else ()
        self._ranges: dict[int, int] = {}
        deaths = Deaths(self.hot)
        trial.side.before_work = deaths.begin
        if isinstance(trial.side, Stock):
            trial.side.come = deaths.come
            return
        for point in points:
            failpoints.arm(point, lambda point=point: deaths.come(point))  # type: ignore[misc]

    def let_die_at(self, number: int, point: str) -> None:
        """Enqueue and wait until as many have died there as are planned."""
        settings = self._trial.settings
        # Those that many jobs share a visit to come by less often.
        self.hot.turn(point, most=settings.kills, one_in=2 if point in self._of_recording else 10)
        key = number * _KEYS
        while self.hot.hits < settings.kills and not self._trial.is_late:
            client = self._enqueue(key, settings.jobs, broken=point in self._relay)
            self._trial.wait(lambda client=client: self._has_ended(client, point), seconds=_POINT_SECONDS)  # type: ignore[misc]
            key = max(key, last_key(self._trial.folder / "ledger" / f"{client}.ledger") + 1)
            if point in self._relay:
                self._wait_for_relay(point)
        self._ranges[number] = key - number * _KEYS
        self.asked = sum(self._ranges.values())
        # What waits would be hit in place of the next jobs. Ours works it off as fast as it comes.
        if settings.is_full or settings.target == "stock":
            self.hot.cool()
            self._trial.until_over(self.asked)

    def _enqueue(self, start: int, jobs: int, *, broken: bool) -> int:
        return self._trial.fleet.fork(lambda: self._be_client(start, jobs, broken=broken))

    def _be_client(self, start: int, jobs: int, *, broken: bool) -> None:
        if broken:
            lose_sight_of_redis()
        self._trial.side.enqueue_all(jobs, self._trial.job_ms, start=start)

    def _has_ended(self, client: int, point: str) -> bool:
        self._free_the_lead(point)
        return self._trial.fleet.has_ended(client)

    def _wait_for_relay(self, point: str) -> None:
        """Rows are left behind for 5 s before the relay takes them."""
        wanted = self._trial.settings.kills
        left = "jobs_jobrun WHERE pushed_at IS NULL AND ended_at IS NULL"

        def over() -> bool:
            self._free_the_lead(point)
            return self.hot.hits >= wanted or not self._trial.ours.count(left)

        self._trial.wait(over, seconds=_POINT_SECONDS + wanted * _SECONDS_PER_KILL)

    def _free_the_lead(self, point: str) -> None:
        # A recording process that died leads for up to 10 s more. That is a courtesy only: without it more can die.
        if point in self._of_recording and self.hot.has_news():
            self._trial.ours.redis.delete("jobs:recorder")

    def row(self, number: int, point: str, records: Sequence[Record], books: Bookkeeping) -> dict[str, object]:
        """What came of one place."""
        mine = range(number * _KEYS, (number + 1) * _KEYS)
        own = [one for one in records if one.key in mine]
        if books.effects is not None:
            books = dataclasses.replace(books, effects={key for key in books.effects if key in mine})
        jobs = self._ranges[number]
        died = sum(one.kind == "fault" and one.fact[0] == point for one in records)
        found = judge(own, books, told_deaths(records), planned=0, jobs=jobs)
        return {
            "point": point,
            "hits": died,
            "jobs": found.acknowledged,
            "lost": found.lost,
            "failed": found.failed,
            "stuck": found.stuck,
            "dup_runs": found.duplicate_runs,
            "dup_effects": found.duplicate_effects,
            "short": died < self._trial.settings.kills,
        }


def last_key(path: Path) -> int:
    """The key of the last job that a client told of, -1 of none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return max((int(json.loads(line)[1]) for line in lines), default=NO_KEY)


def lose_sight_of_redis() -> None:
    """Let this process find no server, as when the network between is cut, and not speak of each push."""
    logging.disable(logging.WARNING)
    from django.conf import settings

    for queue in settings.RQ_QUEUES.values():
        queue["URL"] = "unix:///nonexistent/valkey.sock"
