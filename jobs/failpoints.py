"""Named places at which a test lets a process die, fail or wait. Nothing happens there until one is armed.

`JOBS_FAILPOINT=after_claim:kill@0.02,before_commit:sleep=0.5` says what happens where, and how probable it is.
A place reads `if failpoints.armed: failpoints.reach("after_claim")`, so that it costs nothing in production.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable

from jobs.errors import BadOptions, FailpointsRefused, did_you_mean

VARIABLE = "JOBS_FAILPOINT"

POINTS = {
    "before_push": "a run's row is committed, and its caller has not pushed it",
    "after_push": "the caller's push is done",
    "after_claim": "runs are held, and no thread has them",
    "after_fetch": "a thread has a run, and has not looked at it",
    "before_start": "the job's function is found and not called",
    "mid_job": "in the middle of a job that asks for it",
    "after_effect": "a call that happens once has come back, and its marker does not say so",
    "after_perform": "the function has returned or raised, and nobody knows",
    "before_settle": "the loop is about to settle",
    "after_settle": "the settle is done, and the loop has not heard of it",
    "before_relay_push": "the relay holds rows, and has not pushed them",
    "after_relay_push": "the relay has pushed them, and their rows do not say so",
    "after_tick": "the tick of a due time is written, and its run is not asked for",
    "before_tick_commit": "the tick and the run of a due time are written, and not committed",
    "before_commit": "the recorder has written, and not committed",
    "after_commit": "the recorder has committed, and the journal is not trimmed",
    "after_forget": "the journal is trimmed",
}

Action = Callable[[], None]

# What happens, by place.
armed: dict[str, Action] = {}

_WORDS = re.compile(r"(?P<point>\w+):(?P<what>kill|raise|sleep=(?P<seconds>\d+(\.\d+)?))(@(?P<chance>\d+(\.\d+)?))?")


class Failpoint(Exception):
    """Raised at a place that `raise` was asked for."""


def reach(point: str) -> None:
    """Let happen what was asked for at this place."""
    action = armed.get(point)
    if action is not None:
        action()


def arm(point: str, action: Action) -> None:
    """Call `action` whenever this place is reached, in this process and those that it forks. For tests."""
    if point not in POINTS:
        raise BadOptions(f'There is no failpoint "{point}".{did_you_mean(point, POINTS)} There are {list(POINTS)}.')
    armed[point] = action


def disarm() -> None:
    """Let nothing happen any more."""
    armed.clear()


def arm_asked(*, allowed: bool) -> None:
    """Arm what the environment asks for. Raises `FailpointsRefused` when it asks and that is not allowed here."""
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return
    if not allowed:
        raise FailpointsRefused(
            f"{VARIABLE} is set, and failpoints kill processes: they are for tests. "
            'Unset it, or set JOBS["FAILPOINTS"] to True in the settings of your tests.'
        )
    for words in asked.split(","):
        arm(*_read(words.strip()))


def _read(words: str) -> tuple[str, Action]:
    found = _WORDS.fullmatch(words)
    if found is None:
        raise BadOptions(
            f'{VARIABLE}: "{words}" cannot be read. Write it as after_claim:kill@0.02, raise or sleep=0.5.'
        )
    chance = float(found["chance"] or 1)
    action = _action(found["point"], found["what"], float(found["seconds"] or 0))
    return found["point"], lambda: action() if random.random() < chance else None  # noqa: S311


def _action(point: str, what: str, seconds: float) -> Action:
    def fail() -> None:
        raise Failpoint(point)

    if what == "kill":
        return lambda: os.kill(os.getpid(), signal.SIGKILL)
    return fail if what == "raise" else lambda: time.sleep(seconds)
