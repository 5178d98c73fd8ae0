"""Workers are asked to stop, one after the other, while they work.

1. The fleet starts, and a client enqueues jobs, some of which take seconds.
2. A worker gets SIGTERM: alone; or with all its processes; or twice, 2 s apart. When it has ended, another starts.
3. The judge counts what was lost or failed, and the longest exit.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.faults.fleet import Hit
from bench.faults.sides import Ours
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import Record
from bench.processes import family, kill

WORKERS = 4
SHUTDOWN_SECONDS = 3.0
_MARGIN_SECONDS = 2.0
_SECOND_AFTER_SECONDS = 2.0
# Of so many jobs one takes seconds, so that some outlast their worker's patience.
_ONE_LONG_IN = 40
_LONG_MS = (1_000, 6_000)
# What a stop takes at the most, for the limit of the whole.
_STOP_SECONDS = 12.0

Way = Literal["alone", "with all its processes", "twice"]
WAYS: tuple[Way, ...] = ("alone", "with all its processes", "twice")


@dataclass(frozen=True)
class Stop:
    """A wish to stop; `pause` seconds pass before it."""

    victim: int
    way: Way
    pause: float


def drawn(seed: int, count: int) -> list[Stop]:
    """The stops of a seed, each way in turn."""
    dice = random.Random(f"stops/{seed}")
    return [Stop(dice.randrange(WORKERS), WAYS[n % len(WAYS)], dice.uniform(0, 0.3)) for n in range(count)]


def job_ms(seed: int, key: int) -> int:
    dice = random.Random(f"{seed}/{key}")
    return dice.randint(*_LONG_MS) if dice.randrange(_ONE_LONG_IN) == 0 else dice.randint(5, 50)


def run(settings: Settings) -> Result:
    """Let it happen."""
    with trial(settings, workers=WORKERS, limit_seconds=60 + settings.kills * _STOP_SECONDS + settings.jobs / 5) as one:
        if isinstance(one.side, Ours):
            one.side.options["shutdown_timeout"] = SHUTDOWN_SECONDS
        one.fleet.keep_running()
        one.fleet.fork(lambda: one.side.enqueue_all(settings.jobs, lambda key: job_ms(settings.seed, key)))
        storm = Storm(one, drawn(settings.seed, settings.kills))
        one.until_over(settings.jobs, act=storm.blow)
        longest = max(storm.exits, default=0.0)
        most = SHUTDOWN_SECONDS + _MARGIN_SECONDS * settings.patience
        handed_back = count_cut_off(one.records(), one.hits)
        return one.result(
            planned=settings.kills,
            jobs=settings.jobs,
            broken=[f"an exit took {longest:.1f} s, more than {most:.0f} s"] if longest > most else [],
            figures={"longest_exit_s": round(longest, 2), "handed_back": handed_back},
            lines=[f"longest exit {longest:.2f} s, {handed_back} attempts cut off and handed back"],
        )


class Storm:
    """One stop after the other. `exits` are the seconds that each took."""

    def __init__(self, trial: Trial, stops: list[Stop]) -> None:
        self.exits: list[float] = []
        self._trial = trial
        self._stops = stops
        self._next_at = time.monotonic()
        self._pid = 0
        self._asked_at = 0.0
        self._family: list[int] = []
        self._asked_again = False

    def blow(self) -> bool:
        """Ask, ask again, or take note of the end, as it is time for; whether all stops are over."""
        if self._pid:
            self._watch()
        elif self._stops and time.monotonic() >= self._next_at + self._stops[0].pause:
            self._ask()
        return not self._stops

    def _ask(self) -> None:
        stop = self._stops[0]
        pid = self._trial.fleet.ready(stop.victim)
        if pid is None:
            return
        self._pid, self._family, self._asked_again = pid, family(pid), stop.way != "twice"
        self._asked_at = time.monotonic()
        send(self._family if stop.way == "with all its processes" else [pid])

    def _watch(self) -> None:
        now = time.monotonic()
        if not self._asked_again and now >= self._asked_at + _SECOND_AFTER_SECONDS:
            self._asked_again = True
            send([self._pid])
        # Horses of stock RQ know no limit; they get the time of the longest job.
        if now > self._asked_at + 2 * _STOP_SECONDS:
            kill(family(self._pid))
        if self._trial.fleet.has_ended(self._pid):
            self.exits.append(now - self._asked_at)
            self._trial.hits.append(Hit(now, tuple(self._family)))
            self._pid, self._next_at = 0, now
            self._stops.pop(0)


def count_cut_off(records: Sequence[Record], stops: Sequence[Hit]) -> int:
    """Attempts of stopped processes that began and did not come to their end."""
    stopped = {pid for stop in stops for pid in stop.pids}
    ended = {(record.key, record.pid, record.fact) for record in records if record.kind == "end"}
    starts = [one for one in records if one.kind == "start" and one.pid in stopped]
    return sum((one.key, one.pid, one.fact) not in ended for one in starts)


def send(pids: Sequence[int]) -> None:
    """SIGTERM to each that still lives."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
