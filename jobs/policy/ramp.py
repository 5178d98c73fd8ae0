"""How a bulk action goes on, by how its cohort fares. Reads no clock and does nothing.

A *canary* of a few goes first, and is waited for. Then come *steps*, each some times larger than the one before, which
begin when most of the step before is decided. What was let go is the *cohort*; its latest are watched all the time.
"""

from __future__ import annotations

from dataclasses import dataclass

# One transaction and one audit row: what a stop waits for.
CHUNK = 500
GROWTH = 5
# How many of the latest are looked at, and the most that may be undecided: beyond that nobody would see them fail.
WINDOW = 1000
# What is judged are the latest decided ones, so that a partner which breaks late is noticed as soon as an early one.
JUDGED = 100
# Without a canary, a single failure at the beginning says nothing yet.
SMALLEST_SAMPLE = 20
# A step may begin while so much of the last one is under way; a canary is waited for to its last.
_UNDECIDED_SHARE = 0.1
# How much of its rate an action may make up for, when it was kept from going on.
_BURST_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class Ramp:
    """How fast, and until when: `canary` 0 is none, `rate` is a second, both None and 0 let all go at once, unwatched.

    `max_failures` is a share; `max_wait` is how many seconds the oldest run of a queue may have waited.
    """

    canary: int = 0
    rate: float | None = None
    max_failures: float = 0.2
    max_wait: float | None = None

    @property
    def is_watched(self) -> bool:
        """Whether the cohort's fate decides how it goes on."""
        return self.canary > 0 or self.rate is not None

    def size_after(self, size: int) -> int:
        """The size of the step after one of `size`; 0 is before the first."""
        if not self.canary:
            return 2**31 - 1
        return min(2**31 - 1, size * GROWTH) if size else self.canary

    def allowance(self, tokens: float, elapsed_seconds: float) -> float:
        """How many may go now, by those left over and the time since."""
        if self.rate is None:
            return float(CHUNK)
        return min(tokens + self.rate * max(0.0, elapsed_seconds), max(1.0, self.rate * _BURST_SECONDS))


@dataclass(frozen=True)
class Cohort:
    """How the latest that were let go have fared: `ok`, `failed` at their latest attempt, or `waiting` for one."""

    ok: int = 0
    failed: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Place:
    """Where an action is: the size of its `step`, how many of this are `left`, and the `rest` of the whole."""

    step: int
    left: int
    rest: int


@dataclass(frozen=True)
class Signs:
    """What else speaks for stopping: the longest wait of a queue concerned, and a circuit that is open."""

    wait_seconds: float = 0.0
    open_circuit: str = ""
    queue: str = ""


@dataclass(frozen=True)
class Release:
    """Let so many go, of a step of this size of which then so many are left."""

    count: int
    step: int
    left: int


@dataclass(frozen=True)
class Wait:
    """Look again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Stop:
    """Go no further. `why` is for people."""

    why: str


@dataclass(frozen=True)
class Finish:
    """All have gone, and none is undecided."""


Next = Release | Wait | Stop | Finish


def decide(ramp: Ramp, place: Place, cohort: Cohort, signs: Signs, *, allowance: float) -> Next:
    """What an action does next. `allowance` is what `Ramp.allowance` says."""
    if not ramp.is_watched:
        return _release(ramp, place, float(CHUNK)) if place.rest else Finish()
    if why := _why_stop(ramp, cohort, signs, over=not place.rest):
        return Stop(why)
    if not place.rest:
        return Wait(_LOOK_AGAIN_SECONDS) if cohort.waiting else Finish()
    if not place.left and cohort.waiting > _may_be_undecided(ramp, place):
        return Wait(_LOOK_AGAIN_SECONDS)
    room = WINDOW - cohort.waiting
    if room <= 0:
        return Wait(_LOOK_AGAIN_SECONDS)
    if ramp.rate is None:
        return _release(ramp, place, room)
    if allowance < 1:
        return Wait(_until_one(ramp.rate, allowance))
    return _release(ramp, place, min(allowance, room))


def _why_stop(ramp: Ramp, cohort: Cohort, signs: Signs, *, over: bool) -> str:
    decided = cohort.ok + cohort.failed
    sample = max(decided, min(ramp.canary, JUDGED) or SMALLEST_SAMPLE)
    if cohort.failed > ramp.max_failures * sample:
        return (
            f"{cohort.failed} of the latest {decided} failed again, "
            f"and no more than {_percent(ramp.max_failures)} of {sample} may"
        )
    if over:
        return ""
    if signs.open_circuit:
        return f'the circuit "{signs.open_circuit}" is open'
    if ramp.max_wait is not None and signs.wait_seconds > ramp.max_wait:
        return (
            f'the queue "{signs.queue}" has waited {signs.wait_seconds:.0f} s, '
            f"which is longer than its limit of {ramp.max_wait:.0f} s"
        )
    return ""


def _may_be_undecided(ramp: Ramp, place: Place) -> int:
    return 0 if place.step <= ramp.canary else int(place.step * _UNDECIDED_SHARE)


def _release(ramp: Ramp, place: Place, most: float) -> Release:
    step = place.step if place.left else ramp.size_after(place.step)
    left = place.left or step
    count = min(left, place.rest, int(most), CHUNK)
    return Release(count, step, left - count)


def _until_one(rate: float, allowance: float) -> float:
    return min(_LONGEST_WAIT_SECONDS, max(_LOOK_AGAIN_SECONDS, (1 - allowance) / rate))


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
